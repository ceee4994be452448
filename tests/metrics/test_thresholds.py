"""Thresholds and what they come to: by hand, against a search over all of them, and in resamples against rows."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_curve, roc_curve

from cxrlt_cli.metrics.resampled_decisions import resample_decisions
from cxrlt_cli.metrics.resampling import multiplicities
from cxrlt_cli.metrics.thresholds import at_specificity, best_f1, decide

NAN = float("nan")


def test_best_f1_by_hand() -> None:
    scores, targets = np.array([5.0, 4, 3, 2, 1]), np.array([1, 0, 1, 0, 0])
    assert best_f1(scores, targets) == 3  # 2 of 3 are right, none is missed: F1 4/5
    found = decide(scores[:, None], targets[:, None], np.ones((5, 1), dtype=bool), np.array([3.0]))
    assert found.f1[0] == pytest.approx(4 / 5)
    assert (found.sensitivity[0], found.specificity[0]) == (1, pytest.approx(2 / 3))
    assert np.isnan(best_f1(scores, np.zeros(5)))
    assert np.isnan(best_f1(np.array([]), np.array([])))


def test_specificity_by_hand() -> None:
    scores, targets = np.array([5.0, 4, 4, 3, 2, 1]), np.array([1, 0, 1, 0, 0, 0])
    assert at_specificity(scores, targets, 0.75) == 4
    assert at_specificity(scores, targets, 0.76) == 5
    assert at_specificity(scores, targets, 0.0) == 1
    assert at_specificity(np.array([2.0, 1]), np.array([0, 1]), 1.0) == float("inf")
    assert np.isnan(at_specificity(scores, np.ones(6), 0.9))


@pytest.mark.parametrize("seed", range(20))
def test_no_other_threshold_is_better(seed: int) -> None:
    draws = np.random.default_rng(seed)
    scores, targets = np.round(draws.normal(size=200), draws.integers(0, 3)), draws.random(200) < 0.2
    scores += targets
    precision, recall, thresholds = precision_recall_curve(targets, scores)
    assert np.array_equal(thresholds, np.unique(scores))
    all_f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    assert all_f1[list(thresholds).index(best_f1(scores, targets))] == pytest.approx(all_f1.max())
    false_rate, true_rate, _ = roc_curve(targets, scores, drop_intermediate=False)
    wanted = true_rate[false_rate <= 0.1 + 1e-12].max()
    called = scores >= at_specificity(scores, targets, 0.9)
    assert called[targets].mean() == pytest.approx(wanted)
    assert called[~targets].mean() <= 0.1


def test_decisions_in_resamples_are_those_of_repeated_rows() -> None:
    draws = np.random.default_rng(0)
    scores, targets = draws.normal(size=(150, 4)), (draws.random((150, 4)) < [0.5, 0.1, 0.02, 0.0]).astype(np.uint8)
    label_mask, patients = draws.random((150, 4)) < 0.8, draws.integers(0, 60, 150)
    thresholds = np.array([0.0, 0.5, -1.0, 0.0])
    found = resample_decisions(scores >= thresholds, targets, label_mask, patients, resamples=50, seed=3)
    names, codes = np.unique(patients, return_inverse=True)
    for r in range(50):
        rows = np.repeat(np.arange(150), multiplicities(len(names), 3, r)[codes])
        wanted = decide(scores[rows], targets[rows], label_mask[rows], thresholds)
        for name in ("f1", "sensitivity", "specificity", "micro_f1"):
            assert np.array_equal(np.asarray(getattr(found, name))[r], getattr(wanted, name), equal_nan=True)
    assert np.isnan(found.f1[:, 3]).all()
    c = 0
    rows = np.flatnonzero(label_mask[:, c])
    itself = decide(scores, targets, label_mask, thresholds).f1[c]
    assert itself == pytest.approx(f1_score(targets[rows, c], scores[rows, c] >= thresholds[c]))
