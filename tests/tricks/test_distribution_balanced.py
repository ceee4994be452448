"""Distribution-balanced loss."""

import math

import torch

from cxrlt_cli.tricks.distribution_balanced import distribution_balanced

PRIOR = torch.tensor([0.5, 0.1])


def test_by_hand() -> None:
    """An image with both labels: 1/pi are 2 and 10, so r = 2/12 and 10/12. pi = 0.5 has no bias, pi = 0.1 one of 0.05 log 9."""
    found = distribution_balanced(torch.tensor([[1.0, 1.0]]), torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool), PRIOR)[0]
    weights = [0.1 + 1 / (1 + math.exp(-10 * (r - 0.2))) for r in (2 / 12, 10 / 12)]
    shifted = [1.0, 1.0 - 0.05 * math.log(9)]
    for loss, weight, x in zip(found.tolist(), weights, shifted, strict=True):
        assert math.isclose(loss, weight * math.log1p(math.exp(-x)), rel_tol=1e-5)


def test_negatives_are_scaled_and_an_image_without_positives_has_a_weight() -> None:
    found = distribution_balanced(
        torch.tensor([[1.0, -1.0]]), torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool), torch.tensor([0.5, 0.5]), 2.0
    )[0]
    for loss, x in zip(found.tolist(), (1.0, -1.0), strict=True):
        assert math.isclose(loss, 1.1 * math.log1p(math.exp(2 * x)) / 2, rel_tol=1e-5)


def test_an_unknown_positive_does_not_change_the_weight_of_the_known() -> None:
    known = torch.tensor([[True, False]])
    one, other = (
        distribution_balanced(torch.ones(1, 2), torch.tensor([[1.0, value]]), known, PRIOR)[0, 0] for value in (0.0, 1.0)
    )
    assert one == other
