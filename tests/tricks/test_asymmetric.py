"""Asymmetric loss."""

import math

import torch
from timm.loss import AsymmetricLossMultiLabel

from cxrlt_cli.tricks.asymmetric import asymmetric
from cxrlt_cli.tricks.bce import bce

LOGITS = torch.randn(8, 5, generator=torch.Generator().manual_seed(0)) * 3
TARGETS = torch.rand(8, 5, generator=torch.Generator().manual_seed(1)).round()


def test_by_hand() -> None:
    """p = 0.8, clip 0.05: a negative (p_m = 0.75) costs 0.75^4 * -log 0.25; a positive with g+ = 1 0.2 * -log 0.8."""
    logit = torch.tensor([[math.log(4.0)]])
    absent = asymmetric(logit, torch.zeros(1, 1), negative=4, positive=1, clip=0.05)
    present = asymmetric(logit, torch.ones(1, 1), negative=4, positive=1, clip=0.05)
    assert math.isclose(absent.item(), 0.75**4 * -math.log(0.25), rel_tol=1e-5)
    assert math.isclose(present.item(), 0.2 * -math.log(0.8), rel_tol=1e-5)


def test_easy_negatives_are_let_go_and_hard_ones_kept() -> None:
    """The fault to avoid: a focus turned round would keep the easy negatives."""
    probability = torch.tensor([[0.04, 0.2, 0.5, 0.9]])
    losses = asymmetric(probability.logit(), torch.zeros(1, 4), negative=4, positive=0, clip=0.05)
    of_bce = losses / bce(probability.logit(), torch.zeros(1, 4))
    assert of_bce[0, 0] == 0
    assert (of_bce[0].diff() > 0).all()


def test_without_focus_and_clip_it_is_cross_entropy() -> None:
    torch.testing.assert_close(asymmetric(LOGITS, TARGETS, 0.0, 0.0, 0.0), bce(LOGITS, TARGETS))


def test_equal_to_timm() -> None:
    for negative, positive, clip in ((4.0, 1.0, 0.05), (6.0, 0.0, 0.05), (2.0, 0.0, 0.0)):
        theirs = AsymmetricLossMultiLabel(gamma_neg=negative, gamma_pos=positive, clip=clip, reduction="none")
        ours = asymmetric(LOGITS, TARGETS, negative, positive, clip)
        torch.testing.assert_close(ours, theirs(LOGITS, TARGETS), rtol=1e-4, atol=1e-5)


def test_gradients_are_finite_at_the_extremes() -> None:
    logits = torch.tensor([[-200.0, 200.0, -200.0, 200.0]], requires_grad=True)
    asymmetric(logits, torch.tensor([[0.0, 0.0, 1.0, 1.0]]), 4, 1, 0.05).sum().backward()
    assert torch.isfinite(logits.grad).all()
