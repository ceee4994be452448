"""Focal loss."""

import math

import torch
from torchvision.ops import sigmoid_focal_loss

from cxrlt_cli.tricks.bce import bce
from cxrlt_cli.tricks.focal import focal

LOGITS = torch.randn(8, 5, generator=torch.Generator().manual_seed(0)) * 3
TARGETS = torch.rand(8, 5, generator=torch.Generator().manual_seed(1))


def test_by_hand() -> None:
    """p = 0.8: a positive costs 0.2^2 * -log 0.8, a negative 0.8^2 * -log 0.2."""
    logit = torch.tensor([[math.log(4.0)]])
    assert math.isclose(focal(logit, torch.ones(1, 1), 2.0).item(), 0.04 * -math.log(0.8), rel_tol=1e-5)
    assert math.isclose(focal(logit, torch.zeros(1, 1), 2.0).item(), 0.64 * -math.log(0.2), rel_tol=1e-5)


def test_equal_to_torchvision_also_for_soft_targets() -> None:
    for targets in (TARGETS.round(), TARGETS):
        torch.testing.assert_close(focal(LOGITS, targets, 2.0), sigmoid_focal_loss(LOGITS, targets, alpha=-1, gamma=2.0))


def test_gamma_0_is_cross_entropy() -> None:
    torch.testing.assert_close(focal(LOGITS, TARGETS, 0.0), bce(LOGITS, TARGETS), rtol=0, atol=0)
