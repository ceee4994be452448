"""Visual encoders against torchvision's own networks."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from cxrlt_cli.data.augment import MEAN, STD, normalise
from cxrlt_cli.errors import UserError
from cxrlt_cli.model.encoder import VisualEncoder
from cxrlt_cli.model.load_weights import load_encoder
from cxrlt_cli.model.zero_weights import ZerosInsteadOfRandom

NAMES = [
    "resnet18",
    "resnet50",
    "densenet121",
    "resnext50_32x4d",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "convnext_tiny",
    "swin_v2_t",
]


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
    layer = next(getattr(network, name) for name in ("permute", "features", "layer4") if hasattr(network, name))
    layer.register_forward_hook(lambda _module, _inputs, output: kept.append(output))  # type: ignore[union-attr]
    network(images)
    return torch.relu(kept[0]) if isinstance(network, torchvision.models.DenseNet) else kept[0]


@pytest.mark.parametrize("name", NAMES)
def test_one_gray_channel_gives_what_three_equal_ones_give(name: str, tmp_path: Path) -> None:
    original = _original(name, tmp_path / "weights.pth")
    with ZerosInsteadOfRandom():
        encoder = VisualEncoder(name).eval()
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
    with pytest.raises(UserError, match="different network"):
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


def test_a_file_with_a_wrappers_key_names(tmp_path: Path) -> None:
    """CheXNet's published weights: a training script's checkpoint of a parallel module that holds a DenseNet."""
    original = _original("densenet121", tmp_path / "weights.pth")
    state = {f"module.densenet121.{key}": value for key, value in original.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "chexnet.pth")
    encoder = VisualEncoder("densenet121").eval()
    load_encoder(encoder, tmp_path / "chexnet.pth")
    own = encoder.network.state_dict()["denseblock1.denselayer1.norm1.running_mean"]
    assert torch.equal(own, original.state_dict()["features.denseblock1.denselayer1.norm1.running_mean"])


@pytest.mark.parametrize(
    "name", ["mobilenetv3_small_050", "convnext_atto", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"]
)
def test_networks_of_timm_give_what_timm_gives(name: str, tmp_path: Path) -> None:
    """Weights of three channels, folded into one, give the features of a gray picture in all three."""
    import timm

    torch.manual_seed(1)
    original = timm.create_model(name, pretrained=False, num_classes=0).eval()
    torch.save(original.state_dict(), tmp_path / "weights.pth")
    encoder = VisualEncoder(f"timm:{name}").eval()
    load_encoder(encoder, tmp_path / "weights.pth")
    gray = torch.randn(2, 1, 224, 224)
    with torch.no_grad():
        theirs = (gray * STD + MEAN - encoder.mean[0]) / encoder.std[0]
        expected, found = original.forward_features(theirs.expand(-1, 3, -1, -1)), encoder(gray)
    assert found.shape[:2] == (2, encoder.channels)
    if expected.dim() == 3:  # tokens: the class token first, then the patches by rows
        expected = expected[:, 1:].transpose(1, 2).reshape(found.shape)
    elif expected.shape[1] != encoder.channels:
        expected = expected.permute(0, 3, 1, 2)
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "efficientnet_b0"])
def test_files_of_efficientnet_pytorch_are_read_under_timms_names(name: str, tmp_path: Path) -> None:
    """Its layers are those of timm in the same order, its blocks counted through and its layers named by their kind."""
    import timm

    original = timm.create_model(name, pretrained=False, num_classes=0)
    blocks = [block for stage in original.blocks for block in stage]
    state = {f"_conv_{part}.weight": getattr(original, f"conv_{part}").weight for part in ("stem", "head")}
    norms = {"_bn0": original.bn1, "_bn1": original.bn2}
    for number, block in enumerate(blocks):
        convolutions = [module for module in block.children() if isinstance(module, nn.Conv2d)]
        names = ["_expand_conv", "_depthwise_conv", "_project_conv"][-len(convolutions) :]
        state |= {f"_blocks.{number}.{name}.weight": conv.weight for name, conv in zip(names, convolutions, strict=True)}
        own = [module for module in block.children() if isinstance(module, nn.BatchNorm2d)]
        norms |= {f"_blocks.{number}._bn{3 - len(own) + at}": norm for at, norm in enumerate(own)}
        if hasattr(block.se, "conv_reduce"):
            for old, new in (("_se_reduce", block.se.conv_reduce), ("_se_expand", block.se.conv_expand)):
                state |= {f"_blocks.{number}.{old}.{key}": value for key, value in new.state_dict().items()}
    for module in norms.values():
        nn.init.normal_(module.running_mean)
    state |= {f"{name}.{key}": value for name, module in norms.items() for key, value in module.state_dict().items()}
    torch.save({**state, "_fc.weight": torch.zeros(1000, 1280)}, tmp_path / "old.pth")
    encoder = VisualEncoder(f"timm:{name}")
    load_encoder(encoder, tmp_path / "old.pth")
    for key, value in original.state_dict().items():
        assert torch.equal(encoder.network.state_dict()[key], value if key != "conv_stem.weight" else value.sum(1, True)), key


def test_a_network_that_expects_other_gray_values_gets_them(tmp_path: Path) -> None:
    """What was normalised by ImageNet's mean reaches this network as (gray - 0.5) / 0.5."""
    import timm

    original = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0).eval()
    torch.save(original.state_dict(), tmp_path / "weights.pth")
    encoder = VisualEncoder("timm:tf_efficientnet_lite0").eval()
    load_encoder(encoder, tmp_path / "weights.pth")
    gray = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        expected = original.forward_features(((gray - 0.5) / 0.5).expand(-1, 3, -1, -1))
        found = encoder(normalise(gray))
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("stride", [16, 8])
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "densenet121", "timm:tf_efficientnet_lite0"])
def test_a_smaller_stride_gives_more_features_of_the_same_weights(name: str, stride: int) -> None:
    with ZerosInsteadOfRandom():  # what they compute is not looked at
        coarse, fine = VisualEncoder(name), VisualEncoder(name, stride=stride)
    fine.load_state_dict(coarse.state_dict())
    with torch.no_grad():
        images = torch.randn(2, 1, 64, 64)
        assert fine(images).shape == (2, fine.channels, 64 // stride, 64 // stride)
        assert coarse(images).shape == (2, fine.channels, 2, 2)


def test_a_stride_that_a_network_has_not_is_refused() -> None:
    with pytest.raises(UserError, match="--stride 16: convnext_tiny does not support it"):
        VisualEncoder("convnext_tiny", stride=16)


@pytest.mark.parametrize(
    ("name", "drop_path", "says"),
    [
        ("resnet51", 0.0, "nearest is 'resnet5"),
        ("timm:resnet51", 0.0, "timm does not have"),
        ("resnet18", 0.1, "has no stochastic depth"),
    ],
)
def test_what_is_no_encoder(name: str, drop_path: float, says: str) -> None:
    with pytest.raises(UserError, match=says):
        VisualEncoder(name, drop_path)


def test_stochastic_depth_acts_in_training_alone() -> None:
    torch.manual_seed(0)
    encoder, images = VisualEncoder("convnext_tiny", drop_path=0.5), torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        assert not torch.equal(encoder(images), encoder(images))
        encoder.eval()
        assert torch.equal(encoder(images), encoder(images))
