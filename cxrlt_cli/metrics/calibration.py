"""Calibration error, and calibrated logits that keep the order of images. `calibration_fits` has the fits."""

import numpy as np

BINS = 15


def bin_of(probabilities: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin of equal width, 0 … bins - 1, in which each probability lies."""
    return np.minimum((probabilities * bins).astype(np.int64), bins - 1)


def expected_calibration_error(probabilities: np.ndarray, targets: np.ndarray, bins: int = BINS) -> float:
    """Mean distance between the predicted probability and the observed frequency, of one class.

    Sum over bins of equal width of |sum of p - y| / N: each bin's fraction of the images times the distance of its mean
    probability from its fraction of positives (Naeini et al., AAAI 2015; one class at a time as in Nixon et al., 2019).

    Args:
        probabilities: (N,) within 0 … 1, known labels only.
        targets: (N,) 1 or 0.
        bins: how many.

    Returns:
        Within 0 … 1, NaN without an image.
    """
    if not len(probabilities):
        return float("nan")
    gaps = np.bincount(bin_of(probabilities, bins), weights=probabilities - targets, minlength=bins)
    return float(np.abs(gaps).sum() / len(probabilities))


def isotonic_logits(logits: np.ndarray, places: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(N,) calibrated logits of (N,) logits by points of an isotonic fit; beyond them rising by a tenth of what they do."""
    p = np.interp(logits, places, probabilities)
    beyond = np.minimum(logits - places[0], 0.0) + np.maximum(logits - places[-1], 0.0)
    found: np.ndarray = np.log(p / (1 - p)) + _BEYOND * beyond
    return found


_BEYOND = 0.1  # not flat, or images there would tie


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities in float64, without overflow."""
    x = logits.astype(np.float64)
    half = np.exp(-np.abs(x))
    found: np.ndarray = np.where(x >= 0, 1.0, half) / (1.0 + half)
    return found


def keeping_order(calibrated: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(N,) float32 of calibrated logits that rank as the scores did: what tied still ties, what did not does not.

    Rounding to float32 makes ties, which would change AP. Where that happens a value is raised to the next float32 number
    above its predecessor's, a change in the seventh digit.

    Args:
        calibrated: (N,) logits, finite, a non-decreasing function of the scores.
        scores: (N,) float32.
    """
    _, first, where = np.unique(scores, return_index=True, return_inverse=True)
    bits = (calibrated[first].astype(np.float32) + np.float32(0)).view(np.int32).astype(np.int64)  # + 0: of the two zeros one
    step = np.arange(len(first))
    keys = np.where(bits >= 0, bits, -(bits & 0x7FFFFFFF))  # whole numbers in the order of the float32 numbers
    keys = np.maximum.accumulate(keys - step) + step
    raised = np.where(keys >= 0, keys, -keys | (1 << 31)).astype(np.uint32).view(np.float32)
    kept: np.ndarray = raised[where]
    return kept
