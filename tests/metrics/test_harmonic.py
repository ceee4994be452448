"""The harmonic mean of seen and unseen classes."""

import numpy as np
import pytest

from cxrlt_cli.metrics.bootstrap import resample
from cxrlt_cli.metrics.harmonic import harmonic_mean
from cxrlt_cli.metrics.ranking_intervals import ClassEstimates, estimate

SEEN, UNSEEN = np.array([True, True, False]), np.array([False, False, True])


def _estimates(strength: float, resamples: int, which: int) -> ClassEstimates:
    draws = np.random.default_rng(0)
    targets = (draws.random((400, 3)) < [0.3, 0.2, 0.25]).astype(np.uint8)
    scores = (strength * targets * [1.0, 0.8, 0.4] + draws.standard_normal((400, 3))).astype(np.float32)
    truth = targets, np.ones(targets.shape, dtype=bool), np.arange(400) // 2
    return estimate(scores, *truth, resample(scores[None], *truth, resamples, 0))[which]  # type: ignore[return-value]


@pytest.mark.parametrize("which", [1, 2], ids=["AP", "AUROC"])
def test_value_and_interval_against_a_bootstrap_of_the_harmonic_mean_itself(which: int) -> None:
    estimates = _estimates(1.5, 2000, which)
    found = harmonic_mean(estimates, SEEN, UNSEEN)
    s, u = estimates.value[:2].mean(), estimates.value[2]
    assert float(found.value) == pytest.approx(2 / (1 / s + 1 / u))
    drawn_s, drawn_u = estimates.resampled[:, :2].mean(axis=1), estimates.resampled[:, 2]
    spread = (2 / (1 / drawn_s + 1 / drawn_u)).std()
    low, high = found.interval
    assert low < float(found.corrected) < high
    assert (high - low) / 2 == pytest.approx(1.97 * spread, rel=0.2)


def test_hand_worked() -> None:
    """Two values of 0.8 and 0.4 give 2 * 0.8 * 0.4 / 1.2."""
    value = np.array([0.8, 0.8, 0.4])
    estimates = ClassEstimates(value, value, np.empty((0, 3)), np.full(3, 20), np.full(3, 20.0), False)
    found = harmonic_mean(estimates, SEEN, UNSEEN)
    assert float(found.value) == pytest.approx(0.64 / 1.2)
    assert np.isnan(found.interval).all()


def test_an_undefined_side_makes_it_undefined() -> None:
    value = np.array([0.8, 0.8, np.nan])
    estimates = ClassEstimates(value, value, np.empty((0, 3)), np.full(3, 20), np.full(3, 20.0), False)
    assert np.isnan(float(harmonic_mean(estimates, SEEN, UNSEEN).value))
