import pytest
import timm
import torchvision
from timm.optim import param_groups_layer_decay
from torch import nn

from cxrlt_cli.tricks.layer_decay import lr_scales


def test_worked_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Sequential(_block(), _block()), nn.BatchNorm2d(2))
    scales = lr_scales(network, 0.5)
    assert scales["0.weight"] == scales["1.0.first.weight"] == 0.25
    assert scales["1.1.first.weight"] == scales["2.weight"] == 0.5
    assert set(scales) == {name for name, _ in network.named_parameters()}


def _block() -> nn.Module:
    block = nn.Module()
    block.first = nn.Conv2d(2, 2, 1)
    return block


def test_a_vision_transformers_blocks_have_timms_scales() -> None:
    network = timm.create_model("vit_tiny_patch16_224", pretrained=False)
    theirs = {
        id(parameter): group["lr_scale"]
        for group in param_groups_layer_decay(network, layer_decay=0.8)
        for parameter in group["params"]
    }
    blocks = lr_scales(nn.ModuleDict({"encoder": _without_head(network)}), 0.8)
    for name, parameter in network.named_parameters():
        if name.startswith(("patch_embed", "blocks")):
            assert blocks[f"encoder.{name}"] == pytest.approx(theirs[id(parameter)]), name


def _without_head(network: nn.Module) -> nn.Module:
    network.head = nn.Identity()
    return network


@pytest.mark.parametrize(
    ("name", "layers"), [("resnet18", 8), ("resnet50", 16), ("densenet121", 61), ("convnext_tiny", 19), ("swin_v2_t", 15)]
)
def test_every_block_of_torchvisions_networks_is_a_layer(name: str, layers: int) -> None:
    network = getattr(torchvision.models, name)(weights=None)
    for head in ("fc", "classifier", "head"):
        if hasattr(network, head):
            delattr(network, head)
    scales = lr_scales(network, 0.9)
    assert len({round(scale, 9) for scale in scales.values()}) == layers
    assert max(scales.values()) == pytest.approx(0.9)
    assert set(scales) == {name for name, _ in network.named_parameters()}
