"""Margins by class frequency."""

import math

import torch

from cxrlt_cli.tricks.bce import bce
from cxrlt_cli.tricks.ldam import ldam, ldam_margins


def test_margins_by_hand() -> None:
    """10,000 is 10^4 times 1: its fourth root is 10 times the other's."""
    assert torch.allclose(ldam_margins(torch.tensor([10_000, 1, 0])), torch.tensor([0.05, 0.5, 0.5], dtype=torch.float64))


def test_loss_by_hand() -> None:
    """Positive of logit 1 and margin 0.5: log(1 + e^(-s 0.5)) / s; a negative has no margin."""
    logits, margins = torch.tensor([[1.0, 1.0]]), torch.tensor([0.5, 0.5])
    found = ldam(logits, torch.tensor([[1.0, 0.0]]), margins, scale=30.0)[0]
    assert math.isclose(found[0].item(), math.log1p(math.exp(-15)) / 30, rel_tol=1e-4)
    assert math.isclose(found[1].item(), (30 + math.log1p(math.exp(-30))) / 30, rel_tol=1e-5)


def test_without_margin_and_scale_it_is_cross_entropy() -> None:
    logits, targets = torch.randn(4, 3), torch.rand(4, 3).round()
    torch.testing.assert_close(ldam(logits, targets, torch.zeros(3), 1.0), bce(logits, targets))
