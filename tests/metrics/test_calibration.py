"""Calibration error, temperature and isotonic steps: by hand, and against scikit-learn and a plain minimiser."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss

from cxrlt_cli.metrics.calibration import (
    BINS,
    expected_calibration_error,
    fit_isotonic,
    fit_temperature,
    isotonic_logits,
    keeping_order,
    sigmoid,
)
from cxrlt_cli.metrics.resampled_decisions import resample_calibration_error
from cxrlt_cli.metrics.resampling import multiplicities


def test_error_by_hand() -> None:
    p, y = np.array([0.1, 0.1, 0.9, 0.9]), np.array([0, 1, 1, 1])
    assert expected_calibration_error(p, y) == pytest.approx(0.5 * 0.4 + 0.5 * 0.1)
    assert expected_calibration_error(np.array([1.0, 0.0]), np.array([1, 0])) == 0
    assert np.isnan(expected_calibration_error(np.array([]), np.array([])))


def test_error_is_that_of_scikit_learns_curve() -> None:
    draws = np.random.default_rng(0)
    p = draws.random(3000)
    y = draws.random(3000) < p**2
    found, said = calibration_curve(y, p, n_bins=BINS)
    share = np.histogram(p, BINS, (0, 1))[0] / len(p)
    assert expected_calibration_error(p, y) == pytest.approx((share * np.abs(found - said)).sum())


def test_error_in_resamples_is_that_of_repeated_rows() -> None:
    draws = np.random.default_rng(1)
    p, patients = draws.random((120, 3)), draws.integers(0, 50, 120)
    targets, label_mask = (draws.random((120, 3)) < p).astype(np.uint8), draws.random((120, 3)) < [1.0, 0.7, 0.0]
    found = resample_calibration_error(p, targets, label_mask, patients, resamples=40, seed=2)
    names, codes = np.unique(patients, return_inverse=True)
    for r in range(40):
        rows = np.repeat(np.arange(120), multiplicities(len(names), 2, r)[codes])
        for c in range(3):
            inside = rows[label_mask[rows, c]]
            wanted = expected_calibration_error(p[inside, c], targets[inside, c])
            assert found[r, c] == pytest.approx(wanted, abs=1e-6, nan_ok=True)


def test_temperature_is_found_again_and_is_the_best() -> None:
    draws = np.random.default_rng(2)
    honest = draws.normal(0, 2, 20000)
    y = draws.random(20000) < sigmoid(honest)
    found = fit_temperature(3 * honest, y)
    assert found == pytest.approx(3, rel=0.05)
    for other in (0.97 * found, 1.03 * found):
        assert log_loss(y, sigmoid(3 * honest / found)) < log_loss(y, sigmoid(3 * honest / other))
    assert fit_temperature(honest, np.zeros(20000)) == 1
    assert fit_temperature(np.array([1.0, -1.0]), np.array([1, 0])) == pytest.approx(1 / 64)  # separable: as sure as allowed


@pytest.mark.parametrize("decimals", [0, 1, 5])
def test_isotonic_equals_scikit_learn(decimals: int) -> None:
    for seed in range(10):
        draws = np.random.default_rng(seed)
        x = np.round(draws.normal(size=300), decimals)
        y = (draws.random(300) < sigmoid(2 * x - 1)).astype(np.uint8)
        places, values = fit_isotonic(x, y)
        steps = IsotonicRegression(out_of_bounds="clip").fit(x, y).predict(x)
        assert np.allclose(values, np.unique(np.round(steps, 12)), atol=1e-11)
        assert np.allclose(places, [x[np.isclose(steps, value)].mean() for value in values])
        assert (np.diff(places) > 0).all()
        grid = np.linspace(-9, 9, 1801)
        assert (np.diff(isotonic_logits(grid, places, np.clip(values, 1e-3, 1 - 1e-3))) > 0).all(), "it rises everywhere"


def test_isotonic_by_hand() -> None:
    places, values = fit_isotonic(np.array([1.0, 2, 3, 4]), np.array([0, 1, 0, 1]))
    assert places.tolist() == [1, 2.5, 4]
    assert values.tolist() == [0, 0.5, 1]
    found = isotonic_logits(np.array([0.0, 1, 2.5, 3.25, 4, 5]), places, np.array([0.1, 0.5, 0.9]))
    low, high = np.log(0.1 / 0.9), np.log(0.9 / 0.1)
    assert np.allclose(found, [low - 0.1, low, 0, np.log(0.7 / 0.3), high, high + 0.1])


def test_sigmoid_of_far_logits() -> None:
    assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 60.0])
def test_order_is_kept_where_steps_are_flat_and_float32_is_coarse(scale: float) -> None:
    draws = np.random.default_rng(0)
    scores = np.append((scale * draws.normal(size=3000)).astype(np.float32), np.zeros(20, dtype=np.float32))
    for calibrated in (np.floor(2.0 * scores), scores / 3.0, np.zeros(len(scores)), np.full(len(scores), -7.5)):
        kept = keeping_order(calibrated, scores)
        assert kept.dtype == np.float32
        assert np.array_equal(np.unique(kept, return_inverse=True)[1], np.unique(scores, return_inverse=True)[1])
        assert np.allclose(kept, calibrated, rtol=4e-4, atol=1e-6)
    assert np.array_equal(keeping_order(scores.astype(np.float64), scores), scores)
