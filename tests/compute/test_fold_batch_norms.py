"""Folded batch norms against the network as it was trained."""

import copy

import pytest
import torch
from torch import nn

from cxrlt_cli.compute.fold_batch_norms import fold_batch_norms
from cxrlt_cli.model.encoder import VisualEncoder


def _trained(name: str) -> VisualEncoder:
    """An encoder whose batch norms are far from doing nothing."""
    torch.manual_seed(0)
    encoder = VisualEncoder(name).eval()
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            module.running_mean.normal_(std=0.2)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    return encoder


@pytest.mark.parametrize(
    ("name", "folded"), [("resnet18", 20), ("resnet50", 53), ("densenet121", 59), ("convnext_tiny", 0), ("timm:resnet18", 20)]
)
def test_folding_changes_nothing_but_rounding(name: str, folded: int) -> None:
    encoder = _trained(name)
    before = copy.deepcopy(encoder)
    assert fold_batch_norms(encoder) == folded
    images = torch.randn(2, 1, 64, 64)
    with torch.inference_mode():
        found, expected = encoder(images), before(images)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_one_by_hand() -> None:
    conv, norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.0)
    for tensor, value in ((conv.weight, 3.0), (conv.bias, 1.0), (norm.weight, 2.0), (norm.bias, 5.0)):
        nn.init.constant_(tensor, value)  # type: ignore[arg-type]
    norm.running_mean.fill_(4.0)  # type: ignore[union-attr]
    norm.running_var.fill_(16.0)  # type: ignore[union-attr]
    both = nn.Sequential(conv, norm).eval()
    assert fold_batch_norms(both) == 1
    assert both(torch.full((1, 1, 1, 1), 7.0)).item() == pytest.approx((3 * 7 + 1 - 4) / 4 * 2 + 5)
    assert isinstance(both[1], nn.Identity)


def test_a_convolution_that_feeds_something_else_is_left_alone() -> None:
    class Fork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.conv(images)
            return found + self.norm(found)

    assert fold_batch_norms(Fork().eval()) == 0
