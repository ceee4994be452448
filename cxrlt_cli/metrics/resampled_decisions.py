"""Decisions and calibration error in bootstrap resamples: thresholds and bins stay, the counts in them change."""

import numpy as np

from cxrlt_cli.metrics.calibration import BINS, bin_of
from cxrlt_cli.metrics.resampling import LARGE, Bags, over_resamples
from cxrlt_cli.metrics.thresholds import Decisions


def resample_decisions(
    called: np.ndarray, targets: np.ndarray, label_mask: np.ndarray, patients: np.ndarray, resamples: int = 1000, seed: int = 0
) -> Decisions:
    """The counts of `decide` in resamples of the patients, (R, C) each; the same resamples as those of `resample`.

    Args:
        called: (N, C) bool, whether the image is called positive.
        targets: (N, C) 1 or 0.
        label_mask: (N, C) bool.
        patients: (N,) ids.
        resamples: how many.
        seed: equal seeds give equal resamples.
    """
    positive, negative = label_mask & (targets == 1), label_mask & (targets == 0)
    kinds = (called & positive, called & negative, positive, negative)
    rows = [np.flatnonzero(column) for kind in kinds for column in kind.T]
    found = _sums(rows, patients, resamples, seed).reshape(resamples, 4, called.shape[1])
    return Decisions(*np.moveaxis(found, 1, 0))


def resample_calibration_error(
    probabilities: np.ndarray,
    targets: np.ndarray,
    label_mask: np.ndarray,
    patients: np.ndarray,
    resamples: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """(R, C) expected calibration error in resamples of the patients, good to float32; NaN without an image.

    Args:
        probabilities: (N, C) within 0 … 1.
        targets: (N, C) 1 or 0.
        label_mask: (N, C) bool.
        patients: (N,) ids.
        resamples: how many.
        seed: equal seeds give equal resamples.
    """
    bins, gaps = bin_of(probabilities), probabilities - targets
    classes = range(probabilities.shape[1])
    rows = [np.flatnonzero(label_mask[:, c]) for c in classes]
    rows += [np.flatnonzero(label_mask[:, c] & (bins[:, c] == number)) for c in classes for number in range(BINS)]
    values = [np.ones(len(rows[c])) for c in classes]
    values += [gaps[rows[len(classes) + c * BINS + number], c] for c in classes for number in range(BINS)]
    found = _sums(rows, patients, resamples, seed, values)
    images, in_bins = found[:, : len(classes)], found[:, len(classes) :].reshape(resamples, len(classes), BINS)
    return np.where(images > 0, np.abs(in_bins).sum(axis=-1) / np.maximum(images, 1), np.nan)


def _sums(
    rows: list[np.ndarray], patients: np.ndarray, resamples: int, seed: int, values: list[np.ndarray] | None = None
) -> np.ndarray:
    """(R, G) sums over the rows of each group of weight, or of weight times value."""
    names, codes = np.unique(patients, return_inverse=True)
    lengths = np.array([len(group) for group in rows])
    given = None if values is None else np.concatenate(values)
    bags = Bags(codes[np.concatenate(rows)], np.cumsum(lengths) - lengths, lengths, given, bool(lengths.sum() > LARGE))

    def figures(weights: np.ndarray) -> np.ndarray:
        return bags.sums(weights).T.astype(np.float64)

    return over_resamples(len(names), figures, resamples, seed)
