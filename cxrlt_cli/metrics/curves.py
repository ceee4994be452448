"""Precision-recall and ROC curves as scikit-learn defines them, and reliability: what is said against what is found."""

from dataclasses import dataclass

import numpy as np


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
    """Images by what was said of them, in bins of equal width; empty bins are left out.

    Attributes:
        said: (K,) mean probability.
        found: (K,) share of positives.
        low: (K,) lower bound of that share.
        high: (K,) upper bound.
        count: (K,) int64 images.
    """

    said: np.ndarray
    found: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray


def reliability(probabilities: np.ndarray, targets: np.ndarray, bins: int = 10) -> Reliability:
    """Said against found, with Wilson's 95 % intervals (Wilson, JASA 1927), which take images for independent.

    Args:
        probabilities: (N,) within 0 … 1.
        targets: (N,) 1 or 0, or bool.
        bins: how many of equal width.
    """
    which = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    count = np.bincount(which, minlength=bins)
    there = count > 0
    n = count[there]
    said = np.bincount(which, probabilities, bins)[there] / n
    found = np.bincount(which, targets, bins)[there] / n
    low, high = wilson(found, n)
    return Reliability(said, found, low, high, n)


def wilson(share: np.ndarray, count: np.ndarray, z: float = 1.959963984540054) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound of shares of `count` draws; z is the normal quantile of the level."""
    middle = share + z**2 / (2 * count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    scale = 1 + z**2 / count
    return np.clip((middle - half) / scale, 0, 1), np.clip((middle + half) / scale, 0, 1)
