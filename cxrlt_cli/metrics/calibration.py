"""Whether a probability of p is right in p of the cases, and how to make it so without changing the order of images."""

import math

import numpy as np

BINS = 15


def bin_of(probabilities: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin of equal width, 0 … bins - 1, in which each probability lies."""
    return np.minimum((probabilities * bins).astype(np.int64), bins - 1)


def expected_calibration_error(probabilities: np.ndarray, targets: np.ndarray, bins: int = BINS) -> float:
    """Mean distance between what is said and what is found, of one class.

    Sum over bins of equal width of |sum of p - y| / N, which is each bin's share of the images times the distance of its mean
    probability from its share of positives (Naeini et al., AAAI 2015; one class at a time as in Nixon et al., 2019).

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


def fit_temperature(logits: np.ndarray, targets: np.ndarray, steps: int = 100) -> float:
    """The T > 0 for which sigmoid(logit / T) has the lowest cross-entropy (Guo et al., ICML 2017), of one class.

    The cross-entropy is convex in a = 1 / T: its derivative, the mean of (sigmoid(a x) - y) x, is brought to 0 by bisection.

    Args:
        logits: (N,) of validation images with a known label.
        targets: (N,) 1 or 0.
        steps: of the bisection.

    Returns:
        Within 1/64 … 64; 1 without a positive or without a negative.
    """
    x, y = logits.astype(np.float64), targets.astype(np.float64)
    if not 0 < y.sum() < len(y):
        return 1.0
    low, high = 1 / 64, 64.0
    for _ in range(steps):
        a = math.sqrt(low * high)
        if ((sigmoid(a * x) - y) * x).sum() > 0:
            high = a
        else:
            low = a
    return 1 / math.sqrt(low * high)


def fit_isotonic(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The steps from score to probability that are nearest to the labels, by pooling adjacent violators, each as a point.

    Steps as in scikit-learn's `IsotonicRegression` (Zadrozny & Elkan, KDD 2002), each placed at the mean of its scores:
    centred isotonic regression (Oron & Flournoy, Statistics in Biopharmaceutical Research 2017). Linear between them, the
    calibration rises everywhere, so that scores that differ go on to differ, and a threshold divides any images as before.

    Args:
        scores: (N,) of validation images with a known label.
        targets: (N,) 1 or 0.

    Returns:
        (K,) ascending scores, and (K,) ascending probabilities there.
    """
    distinct, where = np.unique(scores, return_inverse=True)
    weight = np.bincount(where).astype(np.float64)
    total = np.bincount(where, weights=targets.astype(np.float64))
    blocks: list[list[float]] = []  # positives, images, sum of scores
    for positives, images, score in zip(total, weight, distinct.astype(np.float64), strict=True):
        blocks.append([positives, images, images * score])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            above = blocks.pop()
            blocks[-1] = [one + other for one, other in zip(blocks[-1], above, strict=True)]
    positives, images, scores_in = np.array(blocks).T
    return scores_in / images, positives / images


def isotonic_logits(logits: np.ndarray, places: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(N,) calibrated logits of (N,) logits by the points of `fit_isotonic`; beyond them rising by a tenth of what they do."""
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
