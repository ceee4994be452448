"""Curves and reliability against scikit-learn."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import auc, precision_recall_curve, roc_curve

from cxrlt_cli.metrics.curves import precision_recall, reliability, roc
from cxrlt_cli.metrics.ranking import average_precision


@pytest.mark.parametrize("digits", [1, 6])
@pytest.mark.parametrize("seed", range(3))
def test_curves_are_scikit_learns_ties_included(seed: int, digits: int) -> None:
    draws = np.random.default_rng(seed)
    targets = (draws.random(200) < 0.2).astype(int)
    scores = np.round(draws.normal(targets, 1.0), digits)
    recall, precision = precision_recall(scores, targets)
    theirs = precision_recall_curve(targets, scores)
    assert np.allclose(precision, theirs[0][:-1][::-1])
    assert np.allclose(recall, theirs[1][:-1][::-1])
    false, true = roc(scores, targets)
    x, y, _ = roc_curve(targets, scores, drop_intermediate=False)
    assert np.allclose(false, x)
    assert np.allclose(true, y)
    assert np.sum(np.diff(recall, prepend=0) * precision) == pytest.approx(average_precision(scores, targets), abs=1e-12)
    assert 0.5 < auc(false, true) < 1


def test_by_hand() -> None:
    recall, precision = precision_recall(np.array([3.0, 2.0, 2.0, 1.0]), np.array([1, 1, 0, 0]))
    assert recall.tolist() == [0.5, 1.0, 1.0]
    assert precision == pytest.approx([1, 2 / 3, 1 / 2])


@pytest.mark.parametrize("targets", [np.zeros(3), np.ones(3), np.empty(0)])
def test_undefined_curves_are_empty(targets: np.ndarray) -> None:
    scores = np.arange(len(targets), dtype=float)
    assert len(roc(scores, targets)[0]) == 0
    assert len(precision_recall(scores, targets)[0]) == (3 if targets.any() else 0)


def test_reliability_is_scikit_learns() -> None:
    draws = np.random.default_rng(0)
    predicted = draws.random(500) ** 2
    targets = draws.random(500) < predicted
    found = reliability(predicted, targets, np.arange(500) // 4)
    observed, mean = calibration_curve(targets, predicted, n_bins=10, strategy="uniform")
    assert np.allclose(found.observed, observed)
    assert np.allclose(found.predicted, mean)
    assert found.count.sum() == 500
    assert (found.low < found.observed).all()
    assert (found.observed < found.high).all()
    assert len(reliability(predicted[:0], targets[:0], np.arange(0)).count) == 0
