"""Average precision and AUROC as scikit-learn defines them, ties included, from one sort a class.

With N(s) images scored s or higher and TP(s) positives among them:

- AP = 1/P * sum over positives of TP(s) / N(s), which is scikit-learn's sum of precision times gain in recall over distinct
  scores (`average_precision_score`: no interpolation; tied images enter together).
- AUROC = 1/(P M) * sum over positives of (negatives below + half of the negatives that tie), the Mann-Whitney form of the
  area (Hanley & McNeil, Radiology 1982; `roc_auc_score`), P positives and M negatives.

Both need only the positives' places among the sorted scores: a sort of plain numbers, and a search for the distinct scores of
positives, of which a class in the tail has few.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PerClass:
    """How well each class is ranked, over the images whose label of it is known.

    Attributes:
        ap: (C,) float64 within 0 … 1, NaN without a positive.
        auroc: (C,) float64 within 0 … 1, NaN without a positive or without a negative.
        positives: (C,) int64.
        negatives: (C,) int64.
        unknown: (C,) int64 images left out.
    """

    ap: np.ndarray
    auroc: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray
    unknown: np.ndarray

    @property
    def prevalence(self) -> np.ndarray:
        """(C,) positives among known labels, which is the AP of a ranking by chance; NaN without a known label."""
        labelled = self.positives + self.negatives
        return np.where(labelled > 0, self.positives / np.maximum(labelled, 1), np.nan)


def average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Average precision of one class.

    Args:
        scores: (N,) finite, higher means more likely; logits and probabilities of the same order give the same.
        targets: (N,) 1 or 0, or bool.

    Returns:
        Within 0 … 1, NaN without a positive.

    Raises:
        ValueError: other shapes, a score that is not finite, or a target that is neither 1 nor 0.
    """
    return _ap(_tally(*_checked_one(scores, targets)))


def auroc(scores: np.ndarray, targets: np.ndarray) -> float:
    """Area under the ROC curve of one class.

    Args:
        scores: (N,) finite, higher means more likely.
        targets: (N,) 1 or 0, or bool.

    Returns:
        Within 0 … 1, NaN without a positive or without a negative.

    Raises:
        ValueError: other shapes, a score that is not finite, or a target that is neither 1 nor 0.
    """
    return _auroc(_tally(*_checked_one(scores, targets)))


def per_class(scores: np.ndarray, targets: np.ndarray, label_mask: np.ndarray) -> PerClass:
    """Average precision, AUROC and counts of every class, each without the images whose label of it is unknown.

    Args:
        scores: (N, C) finite, higher means more likely.
        targets: (N, C) 1 or 0, or bool; whatever stands where `label_mask` is false is not looked at.
        label_mask: (N, C) bool.

    Raises:
        ValueError: other shapes, a score that is not finite, or a known target that is neither 1 nor 0.
    """
    if scores.ndim != 2:
        raise ValueError(f"scores are (N, C), not {scores.shape}")
    positive = checked(scores, targets, label_mask)
    columns = zip(_columns(scores), _columns(positive), strict=True)
    if label_mask.all():
        tallies = [_tally(*column) for column in columns]
    else:
        tallies = [
            _tally(column[rows], truth[rows]) for (column, truth), rows in zip(columns, _columns(label_mask), strict=True)
        ]
    count = np.array([[tally.positives, tally.negatives] for tally in tallies], dtype=np.int64).reshape(-1, 2)
    return PerClass(
        ap=np.array([_ap(tally) for tally in tallies], dtype=np.float64),
        auroc=np.array([_auroc(tally) for tally in tallies], dtype=np.float64),
        positives=count[:, 0],
        negatives=count[:, 1],
        unknown=len(scores) - count.sum(axis=1),
    )


def mean_of_defined(values: np.ndarray) -> float:
    """The mean of the values that are not NaN: an undefined class is left out, not counted as 0. NaN where none is left."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def means_of_defined(values: np.ndarray) -> np.ndarray:
    """(...) `mean_of_defined` along the last axis of (..., C)."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=-1)
    total = np.where(defined, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class _Tally:
    """The U distinct scores of positives, ascending, among all scores.

    Attributes:
        positives: in all.
        negatives: in all.
        ordered: (N,) all scores, ascending.
        distinct: (U,) scores that positives have.
        here: (U,) positives with that score.
        true: (U,) positives with that score or a higher one.
        false: (U,) negatives with that score or a higher one.
    """

    positives: int
    negatives: int
    ordered: np.ndarray
    distinct: np.ndarray
    here: np.ndarray
    true: np.ndarray
    false: np.ndarray


def _tally(scores: np.ndarray, positive: np.ndarray) -> _Tally:
    ordered = np.sort(scores)
    of_positives = np.sort(scores[np.flatnonzero(positive)])
    count = len(of_positives)
    begins = np.flatnonzero(np.append(count > 0, of_positives[1:] != of_positives[:-1]))
    distinct, true = of_positives[begins], count - begins
    return _Tally(
        positives=count,
        negatives=len(ordered) - count,
        ordered=ordered,
        distinct=distinct,
        here=np.diff(begins, append=count),
        true=true,
        false=len(ordered) - np.searchsorted(ordered, distinct, "left") - true,
    )


def _ap(tally: _Tally) -> float:
    if not tally.positives:
        return float("nan")
    return float((tally.here * (tally.true / (tally.true + tally.false))).sum() / tally.positives)


def _auroc(tally: _Tally) -> float:
    if not tally.positives or not tally.negatives:
        return float("nan")
    above = len(tally.ordered) - np.searchsorted(tally.ordered, tally.distinct, "right")
    false_above = above - (tally.true - tally.here)
    twice_below = 2 * tally.negatives - tally.false - false_above  # integers: the sum is exact
    return float((tally.here * twice_below).sum() / (2 * tally.positives * tally.negatives))


def _columns(matrix: np.ndarray, rows: int = 512) -> np.ndarray:
    """(N, C) as contiguous (C, N), some rows at a time: they stay in the processor's cache, which is 5 times as fast."""
    out = np.empty(matrix.shape[::-1], dtype=matrix.dtype)
    for start in range(0, len(matrix), rows):
        out[:, start : start + rows] = matrix[start : start + rows].T
    return out


def _checked_one(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if scores.ndim != 1:
        raise ValueError(f"scores of one class are (N,), not {scores.shape}")
    scores, targets = np.ascontiguousarray(scores), np.ascontiguousarray(targets)  # a column of a matrix is read once
    return scores, checked(scores, targets, np.ones(scores.shape, dtype=bool))


def checked(scores: np.ndarray, targets: np.ndarray, label_mask: np.ndarray) -> np.ndarray:
    """Where the targets are known to be positive, bool of the same shape. Raises ValueError for what cannot be ranked."""
    if not scores.shape == targets.shape == label_mask.shape:
        raise ValueError(f"scores {scores.shape}, targets {targets.shape} and label_mask {label_mask.shape} differ in shape")
    if label_mask.dtype != np.bool_:
        raise ValueError(f"label_mask is bool, not {label_mask.dtype}")
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} scores are not finite")
    positive: np.ndarray = label_mask & (targets == 1)
    if (label_mask & ~positive & (targets != 0)).any():
        raise ValueError("known targets are 1 or 0")
    return positive
