"""From figures in resamples to intervals and p-values. NaN is a resample in which a figure is undefined: it is left out."""

import numpy as np


def percentile_interval(resampled: np.ndarray, level: float = 0.95) -> np.ndarray:
    """(2, ...) lower and upper bound: percentiles of the figure over resamples (Efron & Tibshirani 1993, chapter 13).

    Args:
        resampled: (R, ...) a figure in each resample.
        level: what the interval covers, within 0 … 1.

    Returns:
        NaN where the figure is undefined in every resample.
    """
    tail = (1 - level) / 2
    bounds = np.full((2, *resampled.shape[1:]), np.nan)
    some = ~np.isnan(resampled).all(axis=0)
    bounds[:, some] = np.nanquantile(resampled[:, some], [tail, 1 - tail], axis=0)
    return bounds


def p_values(differences: np.ndarray) -> np.ndarray:
    """(...) two-sided p-values of no difference: twice the share of resamples on the rarer side of 0, one resample added.

    The added one (Davison & Hinkley 1997, 4.2) keeps it above 0: with R resamples the smallest is 2 / (R + 1).

    Args:
        differences: (R, ...) paired differences in each resample.

    Returns:
        Within 0 … 1, NaN where the difference is undefined in every resample.
    """
    count = (~np.isnan(differences)).sum(axis=0)
    rarer = np.minimum((differences <= 0).sum(axis=0), (differences >= 0).sum(axis=0))
    return np.where(count > 0, np.minimum(1.0, 2 * (rarer + 1) / (count + 1)), np.nan)


def holm(p: np.ndarray) -> np.ndarray:
    """p-values corrected for their number so that any false finding has at most the stated probability (Holm 1979).

    Args:
        p: (C,) within 0 … 1; NaN is no test and is not counted.

    Returns:
        (C,) the k-th smallest of m times m - k + 1, not below a smaller one's, at most 1; NaN stays.
    """
    corrected = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return corrected


def t_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean of a few independent values, such as paired differences over seeds.

    Args:
        values: (n,) with n of 2 or more.
        level: what the interval covers, within 0 … 1.

    Returns:
        Lower and upper bound: mean -+ t(n - 1) sd / sqrt(n).
    """
    from scipy.special import stdtrit

    half = float(stdtrit(len(values) - 1, (1 + level) / 2)) * float(values.std(ddof=1)) / len(values) ** 0.5
    return float(values.mean()) - half, float(values.mean()) + half
