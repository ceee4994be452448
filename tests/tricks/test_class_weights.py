"""Class weights by hand."""

import pytest
import torch

from cxrlt_cli.tricks.class_weights import effective_number, inverse_sqrt


def test_inverse_sqrt_by_hand() -> None:
    found = inverse_sqrt(torch.tensor([4, 16, 1]))  # 1/2, 1/4, 1: mean 7/12
    assert torch.allclose(found, torch.tensor([6 / 7, 3 / 7, 12 / 7], dtype=torch.float64))


def test_effective_number_by_hand() -> None:
    found = effective_number(torch.tensor([1, 2]), 0.5)  # 1 and 0.5 / 0.75 = 2/3: mean 5/6
    assert torch.allclose(found, torch.tensor([6 / 5, 4 / 5], dtype=torch.float64))


def test_effective_number_goes_from_equal_to_inverse() -> None:
    counts = torch.tensor([10, 1000])
    assert torch.allclose(effective_number(counts, 0.0), torch.ones(2, dtype=torch.float64))
    near = effective_number(counts, 1 - 1e-9)
    assert float(near[0] / near[1]) == pytest.approx(100, rel=1e-4)


@pytest.mark.parametrize("weights", [inverse_sqrt, lambda counts: effective_number(counts, 0.99)])
def test_a_class_without_positives_stays_finite(weights: object) -> None:
    found = weights(torch.tensor([0, 1, 500]))  # type: ignore[operator]
    assert torch.isfinite(found).all()
    assert found[0] == found[1] > found[2]
    assert found.mean() == pytest.approx(1)
