"""A network whose weights are loaded is built without drawing random ones."""

import pytest
import torch
from torch import nn

from cxrlt_cli.model.decoder import DecoderSize
from cxrlt_cli.model.network import Decoder, Network, NetworkSpec, Queries
from cxrlt_cli.model.zero_weights import ZerosInsteadOfRandom

ENCODERS = [
    "resnet18", "mobilenet_v3_small", "timm:test_resnet", "timm:test_convnext", "timm:test_vit", "timm:test_efficientnet",
]  # fmt: skip


def network(encoder: str, queries: Queries = "text", kind: Decoder = "residual") -> Network:
    spec = NetworkSpec(encoder, 3, 8, DecoderSize(1, 2, 32, 32), queries, kind=kind)
    return Network(spec, torch.ones(3, 8)).eval()


@pytest.mark.parametrize(
    ("encoder", "queries", "kind"),
    [
        *((name, "text", "residual") for name in ENCODERS),
        ("timm:test_resnet", "glori", "residual"),
        ("timm:test_resnet", "csra", "residual"),
        ("timm:test_resnet", "learned", "transformer"),
    ],
)
def test_network_is_equal_after_loading(encoder: str, queries: Queries, kind: Decoder) -> None:
    drawn = network(encoder, queries, kind)
    with ZerosInsteadOfRandom():
        built = network(encoder, queries, kind)
    largest = max(built.parameters(), key=lambda parameter: parameter.numel())
    assert not largest.any()
    built.load_state_dict(drawn.state_dict())
    images = torch.randn(2, 1, 160, 160)
    with torch.no_grad():
        assert torch.equal(built(images), drawn(images))


def test_truncated_draw_ends_whatever_the_memory_holds() -> None:
    """It draws again until all values are within bounds."""
    with ZerosInsteadOfRandom():
        assert not nn.init.trunc_normal_(torch.full((5,), 1e9)).any()


def test_constants_are_kept() -> None:
    with ZerosInsteadOfRandom():
        norm, filled = nn.BatchNorm2d(3), nn.init.constant_(torch.empty(2), 0.3)
    assert norm.weight.tolist() == [1, 1, 1]
    assert filled.tolist() == pytest.approx([0.3, 0.3])
