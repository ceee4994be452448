"""Distribution-balanced loss."""

import math

import pytest
import torch
from torch import Tensor

from cxrlt_cli.tricks.distribution_balanced import negative_tolerant, prior_shift, rebalanced_weights

PRIOR = torch.tensor([0.5, 0.1])
EVERY = torch.ones(1, 2, dtype=torch.bool)


def _loss(logits: Tensor, targets: Tensor, label_mask: Tensor, prior: Tensor, scale: float = 2.0) -> Tensor:
    return rebalanced_weights(targets, label_mask, prior) * negative_tolerant(logits, targets, prior, scale)


def test_by_hand() -> None:
    """Both labels: 1/pi are 2 and 10, so r = 2/12 and 10/12. pi = 0.5 has no bias, pi = 0.1 one of 0.05 / 2 log 9."""
    found = _loss(torch.tensor([[1.0, 1.0]]), torch.ones(1, 2), EVERY, PRIOR)[0]
    weights = [0.1 + 1 / (1 + math.exp(-10 * (r - 0.2))) for r in (2 / 12, 10 / 12)]
    shifted = [1.0, 1.0 - 0.025 * math.log(9)]
    for loss, weight, x in zip(found.tolist(), weights, shifted, strict=True):
        assert math.isclose(loss, weight * math.log1p(math.exp(-x)), rel_tol=1e-5)


def test_the_shift_is_that_of_the_published_code() -> None:
    """`init_bias / neg_scale` log(N / n - 1), init_bias 0.05, neg_scale 2, of 10,000 images."""
    prior = torch.tensor([6000.0, 2000, 500, 100, 20, 5]) / 10_000
    assert prior_shift(prior, 2.0).tolist() == pytest.approx([-0.010, 0.035, 0.074, 0.115, 0.155, 0.190], abs=5e-4)
    assert (prior_shift(prior, 5.0) * 5).tolist() == pytest.approx((prior_shift(prior, 2.0) * 2).tolist(), rel=1e-5)


def test_negatives_are_scaled_and_an_image_without_positives_has_a_weight() -> None:
    found = _loss(torch.tensor([[1.0, -1.0]]), torch.zeros(1, 2), EVERY, torch.tensor([0.5, 0.5]))[0]
    for loss, x in zip(found.tolist(), (1.0, -1.0), strict=True):
        assert math.isclose(loss, 1.1 * math.log1p(math.exp(2 * x)) / 2, rel_tol=1e-5)


def test_an_unknown_positive_does_not_change_the_weight_of_the_known() -> None:
    label_mask = torch.tensor([[True, False]])
    one, other = (_loss(torch.ones(1, 2), torch.tensor([[1.0, value]]), label_mask, PRIOR)[0, 0] for value in (0.0, 1.0))
    assert one == other
