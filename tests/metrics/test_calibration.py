"""Calibration error and order-keeping logits: by hand, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from cxrlt_cli.metrics.calibration import BINS, expected_calibration_error, isotonic_logits, keeping_order, sigmoid
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


def test_isotonic_logits_by_hand() -> None:
    """Linear in probability between the points, rising by a tenth of the scores beyond them."""
    found = isotonic_logits(np.array([0.0, 1, 2.5, 3.25, 4, 5]), np.array([1, 2.5, 4]), np.array([0.1, 0.5, 0.9]))
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
