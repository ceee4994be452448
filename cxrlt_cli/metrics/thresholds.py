"""Decisions: where a threshold gives the best F1, or a wanted specificity; and what a threshold then comes to."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Decisions:
    """How many images each class's threshold puts where. The fields are (..., C) counts, in one sample or in resamples.

    Attributes:
        true_positives: positives at or above the threshold.
        false_positives: negatives at or above it.
        positives: in all.
        negatives: in all.
    """

    true_positives: np.ndarray
    false_positives: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray

    @property
    def f1(self) -> np.ndarray:
        """2 TP / (2 TP + FP + FN), as scikit-learn's `f1_score`; NaN without a positive."""
        return _ratio(2 * self.true_positives, self.positives + self.true_positives + self.false_positives, self.positives)

    @property
    def micro_f1(self) -> np.ndarray:
        """(...) F1 of all classes' decisions in one."""
        hits, positives = self.true_positives.sum(axis=-1), self.positives.sum(axis=-1)
        return _ratio(2 * hits, positives + hits + self.false_positives.sum(axis=-1), positives)

    @property
    def sensitivity(self) -> np.ndarray:
        """TP / P; NaN without a positive."""
        return _ratio(self.true_positives, self.positives, self.positives)

    @property
    def specificity(self) -> np.ndarray:
        """1 - FP / M; NaN without a negative."""
        return 1 - _ratio(self.false_positives, self.negatives, self.negatives)


def _ratio(over: np.ndarray, under: np.ndarray, needed: np.ndarray) -> np.ndarray:
    return np.where(needed > 0, over / np.maximum(under, 1), np.nan)


def decide(scores: np.ndarray, targets: np.ndarray, label_mask: np.ndarray, thresholds: np.ndarray) -> Decisions:
    """What thresholds come to: an image is called positive where its score is the threshold or higher.

    Args:
        scores: (N, C).
        targets: (N, C) 1 or 0.
        label_mask: (N, C) bool.
        thresholds: (C,) on the scale of the scores.
    """
    positive, negative = label_mask & (targets == 1), label_mask & (targets == 0)
    called = scores >= thresholds
    counts = (called & positive, called & negative, positive, negative)
    return Decisions(*(count.sum(axis=0, dtype=np.int64) for count in counts))


def best_f1(scores: np.ndarray, targets: np.ndarray) -> float:
    """The score at which calling an image positive gives the highest F1; of several the highest score.

    Args:
        scores: (N,) of one class, known labels only.
        targets: (N,) 1 or 0.

    Returns:
        One of the scores, NaN without a positive.
    """
    descending, true, false = _cumulated(scores, targets)
    if not len(true) or not true[-1]:
        return float("nan")
    return float(descending[np.argmax(2 * true / (true[-1] + true + false))])


def at_specificity(scores: np.ndarray, targets: np.ndarray, specificity: float) -> float:
    """The lowest score at which the specificity is still the wanted one or higher.

    Args:
        scores: (N,) of one class, known labels only.
        targets: (N,) 1 or 0.
        specificity: within 0 … 1.

    Returns:
        One of the scores; infinity where even the highest calls too many negatives positive; NaN without a negative.
    """
    descending, _, false = _cumulated(scores, targets)
    negatives = false[-1] if len(false) else 0
    if not negatives:
        return float("nan")
    allowed = np.flatnonzero(negatives - false >= specificity * negatives - 1e-9)
    return float(descending[allowed[-1]]) if len(allowed) else float("inf")


def _cumulated(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct scores, descending, with the positives and negatives at or above each."""
    order = np.argsort(-scores, kind="stable")
    descending, positive = scores[order], targets[order] == 1
    last = np.flatnonzero(np.append(descending[1:] != descending[:-1], len(descending) > 0)[: len(descending)])
    true = np.cumsum(positive)[last]
    return descending[last], true, last + 1 - true
