"""The harmonic mean of a metric's means over seen and over unseen classes, with its 95 % interval.

H = 2 s u / (s + u). Its bounds are those of s and u, which `ranking_intervals` computes, carried through the derivatives
dH/ds = 2 u^2 / (s + u)^2 and dH/du = 2 s^2 / (s + u)^2 with the correlation r of both means over resamples of the patients:

    half width of H, on each side = sqrt((dH/ds a)^2 + (dH/du b)^2 + 2 r (dH/ds a) (dH/du b)), a and b those of s and u
"""

import numpy as np

from cxrlt_cli.metrics.ranking import means_of_defined
from cxrlt_cli.metrics.ranking_intervals import ClassEstimates, MeanEstimate


def harmonic_mean(estimates: ClassEstimates, seen: np.ndarray, unseen: np.ndarray) -> MeanEstimate:
    """The harmonic mean of two means over classes.

    Args:
        estimates: AP or AUROC of all classes.
        seen: (C,) bool.
        unseen: (C,) bool.

    Returns:
        Its value, corrected value and interval; NaN where one of the means has none.
    """
    means = [estimates.mean(classes) for classes in (seen, unseen)]
    value, corrected = (_harmonic(*(float(getattr(mean, name)) for mean in means)) for name in ("value", "corrected"))
    s, u = (float(mean.corrected) for mean in means)
    slopes = (2 * u**2 / max(s + u, 1e-12) ** 2, 2 * s**2 / max(s + u, 1e-12) ** 2)
    a, b = (slope * (mean.interval - mean.corrected) for slope, mean in zip(slopes, means, strict=True))
    correlation = _correlation(*(means_of_defined(estimates.resampled[:, classes]) for classes in (seen, unseen)))
    half = np.sqrt(np.maximum(a**2 + b**2 + 2 * correlation * a * b, 0.0))
    bounds = np.clip(corrected + np.array([-1, 1]) * half, 0, 1)
    return MeanEstimate(np.array(value), np.array(corrected), bounds, estimates.skewed)


def _harmonic(first: float, second: float) -> float:
    return 2 * first * second / (first + second) if first + second > 0 else first + second


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Of two metrics over resamples; 0 where one does not vary."""
    defined = ~(np.isnan(first) | np.isnan(second))
    first, second = first[defined], second[defined]
    if len(first) < 2 or not first.std() or not second.std():
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
