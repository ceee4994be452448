"""Visual encoders against torchvision's own networks."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from cxrlt_cli.errors import UserError
from cxrlt_cli.model.encoder import VisualEncoder, load_encoder

NAMES = ["resnet18", "resnet50", "densenet121"]


def _original(name: str, path: Path) -> nn.Module:
    """A network of torchvision with weights of its own, saved to a file."""
    torch.manual_seed(1)
    network: nn.Module = getattr(torchvision.models, name)(weights=None)
    for module in network.modules():  # statistics that differ from those of a fresh network
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)  # type: ignore[arg-type]
    torch.save(network.state_dict(), path)
    return network.eval()


def _features(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What torchvision's network computes before pooling."""
    kept: list[torch.Tensor] = []
    layer = network.features if hasattr(network, "features") else network.layer4
    layer.register_forward_hook(lambda _module, _inputs, output: kept.append(output))  # type: ignore[union-attr]
    network(images)
    return torch.relu(kept[0]) if hasattr(network, "features") else kept[0]


@pytest.mark.parametrize("name", NAMES)
def test_one_gray_channel_gives_what_three_equal_ones_give(name: str, tmp_path: Path) -> None:
    original = _original(name, tmp_path / "weights.pth")
    encoder = VisualEncoder(name).eval()  # type: ignore[arg-type]
    load_encoder(encoder, tmp_path / "weights.pth")
    gray = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        expected = _features(original, gray.expand(-1, 3, -1, -1))
        found = encoder(gray)
    assert found.shape == (2, encoder.channels, 2, 2)
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_densenet_weights_with_torchvisions_published_key_names(tmp_path: Path) -> None:
    original = _original("densenet121", tmp_path / "weights.pth")
    old = {}
    for key, value in original.state_dict().items():
        parts = key.split(".")
        if len(parts) > 4 and parts[3][:-1] in ("norm", "conv"):  # features.denseblock1.denselayer1.norm1.weight
            parts[3] = f"{parts[3][:-1]}.{parts[3][-1]}"
        old[".".join(parts)] = value
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    encoder = VisualEncoder("densenet121").eval()
    load_encoder(encoder, tmp_path / "old.pth")
    own = encoder.network.state_dict()["denseblock1.denselayer1.norm1.running_mean"]
    assert torch.equal(own, original.state_dict()["features.denseblock1.denselayer1.norm1.running_mean"])


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    _original("resnet18", tmp_path / "weights.pth")
    with pytest.raises(UserError, match="another network"):
        load_encoder(VisualEncoder("resnet50"), tmp_path / "weights.pth")


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 cut"])
def test_a_file_that_holds_no_weights_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"weights\.pth cannot be read"):
        load_encoder(VisualEncoder("resnet18"), tmp_path / "weights.pth")


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"conv1.weight": Path("/")}, tmp_path / "weights.pth")  # an object, as a harmful file would hold
    with pytest.raises(UserError, match="cannot be read"):
        load_encoder(VisualEncoder("resnet18"), tmp_path / "weights.pth")
