"""`--tune`: LoRA and its merged weights, layer-wise learning rates and gradient checkpointing of transformers."""

import copy
from functools import partial
from pathlib import Path

import pytest
import torch
from shared import made_once
from tiny_encoders import save_open_clip, save_timm, save_transformers
from torch import Tensor

from cxrlt_cli.config.encoder_name import parse_encoder
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.encoders.architecture import published_weights
from cxrlt_cli.errors import UserError
from cxrlt_cli.model.decoder import DecoderSize
from cxrlt_cli.model.encoder import VisualEncoder
from cxrlt_cli.model.gradient_checkpointing import checkpoint_blocks
from cxrlt_cli.model.load_weights import load_weights
from cxrlt_cli.model.lora import add_low_rank, merged_state
from cxrlt_cli.model.network import Network, NetworkSpec
from cxrlt_cli.train.build import make_optimizer
from cxrlt_cli.train.settings import OptimizerSettings
from cxrlt_cli.tricks.layer_decay import lr_scales

#: Encoders whose library calls the layers, reads their weights (EVA, torchvision's Swin), or has torch's attention (open_clip).
KINDS = ["./{}/dinov2", "timm:local-dir:{}/eva02", "swin_t", "open_clip:local-dir:{}/clip"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of tiny encoders."""

    def make(folder: Path) -> None:
        for name in ("dinov2", "swin", "regnet"):
            save_transformers(name, folder / name)
        half = (0.5, 0.5, 0.5)
        save_timm("eva02_tiny_patch14_224", folder / "eva02", half, half, depth=2, embed_dim=48, img_size=56)

    return made_once(tmp_path_factory, "saved-encoders", make)


def _network(kind: str, saved: Path, tmp_path: Path) -> tuple[Network, NetworkSpec, Tensor]:
    if kind.startswith("open_clip"):
        pytest.importorskip("open_clip", reason="open_clip is not installed")
        save_open_clip(tmp_path / "clip")
        saved = tmp_path
    name = kind.replace("./{}", "{}").format(saved)
    torch.manual_seed(0)
    spec = NetworkSpec(name, 3, 8, DecoderSize(1, 2, 32, 32, 0.0))
    network = Network(spec, torch.randn(3, 8))
    parsed = parse_encoder(name)
    if parsed.published:
        load_weights(network.encoder, published_weights(parsed), Path(name))
    return network, spec, torch.randn(2, 1, 56, 56)


@pytest.mark.parametrize("kind", KINDS)
def test_merged_weights_give_equal_logits(kind: str, saved: Path, tmp_path: Path) -> None:
    network, spec, images = _network(kind, saved, tmp_path)
    names = list(network.state_dict())
    with torch.no_grad():
        before = network.eval()(images)
        assert add_low_rank(network.encoder, 4, seed=0) > 4
        assert torch.allclose(network(images), before, atol=1e-6), "it starts where the encoder is"
        for name, parameter in network.encoder.named_parameters():
            assert parameter.requires_grad == (".parametrizations." in name and not name.endswith("original")), name
            if name.endswith(".up"):
                parameter.normal_(std=0.1)
        adapted = network(images)
        merged = merged_state(network)
        assert set(merged) == set(names)
        plain = Network(spec, torch.zeros(3, 8)).eval()
        plain.load_state_dict(merged)
        assert torch.allclose(plain(images), adapted, atol=1e-5)
        assert float((adapted - before).abs().max()) > 1e-3


def test_every_low_rank_term_of_the_layers_is_trained(saved: Path, tmp_path: Path) -> None:
    for kind in KINDS[:3]:
        network, _, images = _network(kind, saved, tmp_path)
        add_low_rank(network.encoder, 4, seed=0)
        network.train()(images).square().sum().backward()
        ups = {name: value.grad for name, value in network.encoder.named_parameters() if name.endswith(".up")}
        still = [name for name, gradient in ups.items() if gradient is None or not gradient.any()]
        assert not still, (kind, still)
        originals = [value.grad for name, value in network.encoder.named_parameters() if name.endswith(".original")]
        assert originals
        assert all(gradient is None for gradient in originals)


def test_an_average_of_an_adapted_network_is_a_copy_of_its_own(saved: Path, tmp_path: Path) -> None:
    network, _, images = _network(KINDS[0], saved, tmp_path)
    add_low_rank(network.encoder, 2, seed=0)
    average = copy.deepcopy(network).eval()
    with torch.no_grad():
        before = average(images)
        for name, parameter in network.named_parameters():
            if name.endswith(".up"):
                parameter.normal_()
        assert torch.equal(average(images), before)
        assert not torch.allclose(network.eval()(images), before)


def test_a_network_without_linear_layers_is_refused() -> None:
    with pytest.raises(UserError, match="resnet18 has no linear layers wider than 4"):
        add_low_rank(VisualEncoder("resnet18"), 4, seed=0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tune": "lora"}, "unknown --tune 'lora'; expected full, head or lora:RANK"),
        ({"tune": "lora:0"}, "unknown --tune 'lora:0'"),
        ({"tune": "heads"}, "unknown --tune 'heads'"),
        ({"tune": "lora:4", "freeze": "encoder"}, "--tune lora:4 and --freeze encoder exclude each other"),
        ({"tune": "head", "encoder_lr": 0.1}, "--tune head leaves no learning rate"),
        ({"tune": "lora:4", "weights": "none"}, "--tune lora:4 needs trained weights"),
        ({"encoder": "hub:some/thing"}, "unknown --encoder 'hub:some/thing'"),
        ({"encoder": "hf:./folder"}, "is not a name on the Hugging Face hub"),
        ({"encoder": "hf:a/b/c"}, "is not a name on the Hugging Face hub"),
        ({"encoder": "open_clip:ViT-B-16"}, "unknown --encoder 'open_clip:ViT-B-16'"),
    ],
)
def test_values_that_mean_nothing_are_refused_when_the_options_are_made(options: dict[str, object], says: str) -> None:
    with pytest.raises(UserError) as caught:
        TrainConfig(**options)  # type: ignore[arg-type]
    assert says in caught.value.message


def test_head_and_freeze_are_the_same() -> None:
    assert TrainConfig(tune="head").freeze == TrainConfig(freeze="encoder").freeze == "encoder"


@pytest.mark.parametrize(("name", "layers"), [("dinov2", 3), ("swin", 4), ("regnet", 5)])
def test_layers_of_transformers_have_learning_rates_of_their_own(name: str, layers: int, saved: Path) -> None:
    """The last layer has the decay once, each before it once more; embeddings are the first layer, as in timm's rule."""
    encoder = VisualEncoder(str(saved / name))
    scales = lr_scales(encoder.network, 0.5)
    assert set(scales) == {name for name, _ in encoder.network.named_parameters()}
    assert sorted(set(scales.values())) == [0.5**number for number in range(layers, 0, -1)]
    first = next(value for key, value in scales.items() if "embed" in key)
    assert first == min(scales.values())


def test_the_optimizer_scales_low_rank_terms_by_their_layer(saved: Path, tmp_path: Path) -> None:
    network, _, _ = _network(KINDS[0], saved, tmp_path)
    add_low_rank(network.encoder, 2, seed=0)
    optimizer = make_optimizer(OptimizerSettings(1e-3, 0.1, 0.5, 0.02, "none"), network)
    scales = sorted({group["scale"] for group in optimizer.param_groups if group["params"]})
    assert scales == pytest.approx([0.025, 0.05, 1.0])


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[1], KINDS[3]])
def test_gradients_stay_with_gradient_checkpointing(kind: str, saved: Path, tmp_path: Path) -> None:
    network, _, images = _network(kind, saved, tmp_path)
    plain, saving = network.encoder.train(), copy.deepcopy(network.encoder)
    checkpoint_blocks(saving)
    kept = [0, 0]
    for number, encoder in enumerate((plain, saving)):
        pack = partial(_counted, kept, number, {value.data_ptr() for value in encoder.parameters()})
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            features = encoder(images)
        features.square().mean().backward()
    assert kept[1] < kept[0] / 2
    for (key, expected), found in zip(plain.named_parameters(), saving.parameters(), strict=True):
        assert (expected.grad is None) == (found.grad is None), key
        assert expected.grad is None or torch.allclose(found.grad, expected.grad, rtol=1e-3, atol=1e-6), key


def _counted(kept: list[int], number: int, parameters: set[int], tensor: Tensor) -> Tensor:
    kept[number] += tensor.numel() * (tensor.data_ptr() not in parameters)
    return tensor


def test_a_network_that_transformers_cannot_checkpoint_is_refused(saved: Path) -> None:
    with pytest.raises(UserError, match="transformers does not support it"):
        checkpoint_blocks(VisualEncoder(str(saved / "regnet")))
