"""Precision-recall and ROC curves as scikit-learn defines them, and reliability: predicted against observed."""

from dataclasses import dataclass

import numpy as np

from cxrlt_cli.metrics.proportions import proportion


def precision_recall(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision when everything scored s or higher is called positive, for each distinct s from the highest down.

    Args:
        scores: (N,) finite.
        targets: (N,) 1 or 0, or bool.

    Returns:
        (T,) recall, ascending to 1, and (T,) precision; empty without a positive.
    """
    true, called = _cumulated(scores, targets)
    if not len(true) or not true[-1]:
        return np.empty(0), np.empty(0)
    return true / true[-1], true / called


def roc(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rate for each distinct score from the highest down, beginning at 0, 0.

    Args:
        scores: (N,) finite.
        targets: (N,) 1 or 0, or bool.

    Returns:
        (T + 1,) each; empty without a positive or without a negative.
    """
    true, called = _cumulated(scores, targets)
    false = called - true
    if not len(true) or not true[-1] or not false[-1]:
        return np.empty(0), np.empty(0)
    return np.append(0, false / false[-1]), np.append(0, true / true[-1])


def _cumulated(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positives, and images, scored as high as each distinct score or higher."""
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    last = np.flatnonzero(np.append(descending[1:] != descending[:-1], len(descending) > 0))
    return np.cumsum(targets[order].astype(np.int64))[last], last + 1


@dataclass(frozen=True)
class Reliability:
    """Images by their predicted probability, in bins of equal width; empty bins are left out.

    Attributes:
        predicted: (K,) mean probability.
        observed: (K,) fraction of positives.
        low: (K,) lower bound of that fraction.
        high: (K,) upper bound.
        count: (K,) int64 images.
    """

    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray


def reliability(probabilities: np.ndarray, targets: np.ndarray, patients: np.ndarray, bins: int = 10) -> Reliability:
    """Predicted against observed, with the 95 % intervals of `proportions.proportion`.

    Args:
        probabilities: (N,) within 0 … 1.
        targets: (N,) 1 or 0, or bool.
        patients: (N,) int >= 0, number of each image's patient.
        bins: how many of equal width.
    """
    which = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    count = np.bincount(which, minlength=bins)
    there = np.flatnonzero(count)
    predicted = np.bincount(which, probabilities, bins)[there] / count[there]
    proportions = [proportion(targets == 1, which == number, patients) for number in there]
    observed, low, high = np.array([(one.value, one.low, one.high) for one in proportions]).reshape(-1, 3).T
    return Reliability(predicted, observed, low, high, count[there])
