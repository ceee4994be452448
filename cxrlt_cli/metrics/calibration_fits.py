"""Fits of one class's calibration: temperature, Platt and isotonic. None of them changes the order of images."""

import math
from dataclasses import dataclass

import numpy as np

from cxrlt_cli.metrics.calibration import sigmoid

_STEEPEST = 64.0  # a slope, and its inverse: separable classes would ask for an infinite one
_TILT = 0.02  # logit by which a flat step rises for each standard deviation of the scores, so that no images tie


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
    low, high = 1 / _STEEPEST, _STEEPEST
    for _ in range(steps):
        a = math.sqrt(low * high)
        if ((sigmoid(a * x) - y) * x).sum() > 0:
            high = a
        else:
            low = a
    return 1 / math.sqrt(low * high)


def fit_platt(logits: np.ndarray, targets: np.ndarray, steps: int = 50) -> tuple[float, float]:
    """Slope a and bias b of sigmoid(a logit + b) with the lowest cross-entropy (Platt 1999, without his smoothed targets).

    At the optimum the mean probability is the fraction of positives. Newton's method with step halving; a slope outside
    1/64 … 64 is clipped, and the bias is then the one that keeps the mean.

    Args:
        logits: (N,) of validation images with a known label.
        targets: (N,) 1 or 0, both present.
        steps: of Newton's method, at most.

    Returns:
        Slope and bias.
    """
    x, y = logits.astype(np.float64), targets.astype(np.float64)
    centre, spread = float(x.mean()), float(x.std()) or 1.0
    z = np.stack([(x - centre) / spread, np.ones(len(x))])
    weights = np.array([spread, centre])  # the identity: a = 1, b = 0
    loss = cross_entropy(weights @ z, y)
    for _ in range(steps):
        p = sigmoid(weights @ z)
        hessian = (z * (p * (1 - p))) @ z.T / len(y) + 1e-12 * np.eye(2)
        step = np.linalg.solve(hessian, z @ (p - y) / len(y))
        size = 1.0
        while size > 1e-6 and not cross_entropy((weights - size * step) @ z, y) <= loss:
            size /= 2
        weights = weights - size * step
        before, loss = loss, cross_entropy(weights @ z, y)
        if np.abs(step).max() < 1e-10 or before - loss <= 1e-15 or weights[0] > _STEEPEST * spread:
            break
    slope = min(max(float(weights[0]) / spread, 1 / _STEEPEST), _STEEPEST)
    return slope, bias_for_mean(slope * x, float(y.mean()))


def bias_for_mean(logits: np.ndarray, mean: float) -> float:
    """The b for which the mean of sigmoid(logit + b) is `mean`, by Newton's method within a bracket."""
    low, high = -float(logits.max()) - 50.0, -float(logits.min()) + 50.0
    b = min(max(0.0, low), high)
    for _ in range(200):
        p = sigmoid(logits + b)
        gap = float(p.mean()) - mean
        if abs(gap) < 1e-13:
            break
        low, high = (low, b) if gap > 0 else (b, high)
        newton = b - gap / max(float((p * (1 - p)).mean()), 1e-300)
        b = newton if low < newton < high else (low + high) / 2
    return b


@dataclass(frozen=True)
class Steps:
    """An isotonic fit: K stretches of neighbouring scores, each with one probability.

    Attributes:
        first: (K,) lowest score of each stretch, ascending.
        last: (K,) highest score of each.
        mean: (K,) mean score of each.
        images: (K,) how many images it has.
        fraction: (K,) strictly ascending fraction of positives.
        spread: standard deviation of all scores.
    """

    first: np.ndarray
    last: np.ndarray
    mean: np.ndarray
    images: np.ndarray
    fraction: np.ndarray
    spread: float

    @property
    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Ascending scores and their probabilities: both ends of each stretch. Between points the fit is linear."""
        ends = np.stack([self.first, self.last], axis=1).ravel()
        fractions = np.repeat(self.fraction, 2)
        keep = np.append(True, ends[1:] != ends[:-1])
        return ends[keep], fractions[keep]


def fit_isotonic(scores: np.ndarray, targets: np.ndarray) -> Steps:
    """The non-decreasing function of the score that is nearest to the labels, by pooling adjacent violators.

    Its points are those of scikit-learn's `IsotonicRegression` (Zadrozny & Elkan, KDD 2002): flat within a stretch, linear
    between stretches. The mean of the fit over the images is the fraction of positives.

    Args:
        scores: (N,) of validation images with a known label.
        targets: (N,) 1 or 0.
    """
    distinct, where = np.unique(scores.astype(np.float64), return_inverse=True)
    images = np.bincount(where).astype(np.float64)
    positives = np.bincount(where, weights=targets.astype(np.float64))
    blocks: list[list[float]] = []  # first score, positives, images, sum of scores, last score
    for score, hits, count in zip(distinct, positives, images, strict=True):
        blocks.append([score, hits, count, count * score, score])
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][2] >= blocks[-1][1] * blocks[-2][2]:
            above, below = blocks.pop(), blocks.pop()
            blocks.append([below[0], *(below[i] + above[i] for i in (1, 2, 3)), above[4]])
    first, hits, count, total, last = np.array(blocks).T
    return Steps(first, last, np.clip(total / count, first, last), count, hits / count, float(scores.std(dtype=np.float64)))


def order_keeping_points(steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """The points of an isotonic fit, changed as little as needed for calibrated images to keep their order and their mean.

    - A stretch of n images at 0 (or 1) is put at 0.5 / (n + 1) from it: no finding is impossible because n images lack it.
    - Flat stretches rise a little (`_TILT`): scores that differ go on to differ, and AP does not change.
    - All logits are shifted by the one number that brings the mean over the images back to the fraction of positives.

    Returns:
        Strictly ascending scores and ascending probabilities within 0 … 1, both excluded; linear between them.
    """
    p = steps.fraction.copy()
    margin = 0.5 / (steps.images + 1)
    if len(p) > 1:
        p[0] = max(p[0], min(margin[0], p[1]))
        p[-1] = min(p[-1], max(1 - margin[-1], p[-2]))
    p = np.clip(p, margin.min(), 1 - margin.min())
    places, fractions = Steps(steps.first, steps.last, steps.mean, steps.images, p, steps.spread).points
    logits = np.log(fractions / (1 - fractions)) + _TILT * (places - steps.mean[0]) / (steps.spread or 1.0)
    wanted = float(np.average(steps.fraction, weights=steps.images))
    low, high = -60.0, 60.0
    for _ in range(100):
        shift = (low + high) / 2
        # linear within a stretch: the mean over its images is the value at their mean score
        mean = np.average(np.interp(steps.mean, places, sigmoid(logits + shift)), weights=steps.images)
        low, high = (low, shift) if mean > wanted else (shift, high)
    return places, sigmoid(logits + (low + high) / 2)


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean negative log-likelihood of labels, in nats; NaN without an image."""
    if not len(logits):
        return float("nan")
    x = logits.astype(np.float64)
    return float(np.logaddexp(0, np.where(targets == 1, -x, x)).mean())
