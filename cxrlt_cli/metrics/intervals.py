"""Intervals of AP, AUROC, their means and differences, and Holm's correction. NaN is an undefined value and is left out.

Intervals of AP and AUROC are Student's t intervals on the logit scale, which keeps them within 0 … 1: the standard deviation
over bootstrap resamples of the patients, the corrected AP as the middle (`corrected_ap`), and as many degrees of freedom as
patients with a positive. `docs/explanation/statistics.md` has how often they contain the true value, measured.
"""

import numpy as np

from cxrlt_cli.metrics.ranking import means_of_defined


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


#: Below so many patients with a positive a class has no interval: it would be most of 0 … 1.
MIN_POSITIVE_PATIENTS = 5


def logit_interval(
    middle: np.ndarray, std: np.ndarray, degrees: np.ndarray, patients: np.ndarray, level: float = 0.95
) -> np.ndarray:
    """(2, ...) lower and upper bound of values within 0 … 1: logit(middle) -+ t(degrees) std / (middle (1 - middle)).

    A perfect (or entirely wrong) ranking has no spread to learn from. Its bound is then the exact one of a proportion: the
    value for which k of k patients are right with a probability of half of 1 - level (Clopper & Pearson, Biometrika 1934).

    Args:
        middle: (...) within 0 … 1, NaN where undefined.
        std: (...) standard deviation over resamples.
        degrees: (...) degrees of freedom.
        patients: (...) patients with a positive.
        level: what the interval covers, within 0 … 1.

    Returns:
        NaN where `middle` or `std` is, and below `MIN_POSITIVE_PATIENTS` patients.
    """
    from scipy.special import expit, logit, stdtrit

    tail = (1 - level) / 2
    inside = np.clip(middle, _LEAST, 1 - _LEAST)
    half = stdtrit(np.maximum(degrees, 1.0), 1 - tail) * std / (inside * (1 - inside))
    bounds = np.stack([expit(logit(inside) - half), expit(logit(inside) + half)])
    exact = tail ** (1 / np.maximum(patients, 1))
    bounds = np.where((std == 0) & (middle >= 1 - _LEAST), np.stack([exact, np.ones_like(exact)]), bounds)
    bounds = np.where((std == 0) & (middle <= _LEAST), np.stack([np.zeros_like(exact), 1 - exact]), bounds)
    found: np.ndarray = np.where((patients >= MIN_POSITIVE_PATIENTS) & ~np.isnan(middle) & ~np.isnan(std), bounds, np.nan)
    return found


_LEAST = 1e-6  # a logit is finite from here on


def std_of_defined(resampled: np.ndarray) -> np.ndarray:
    """(...) standard deviation over the first axis, without NaN; NaN where less than two are left."""
    defined = ~np.isnan(resampled)
    count = defined.sum(axis=0)
    mean = np.where(defined, resampled, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = np.where(defined, resampled - mean, 0.0) ** 2
    return np.where(count > 1, np.sqrt(squares.sum(axis=0) / np.maximum(count - 1, 1)), np.nan)


def combined_interval(values: np.ndarray, bounds: np.ndarray, weights: np.ndarray, resampled: np.ndarray) -> np.ndarray:
    """(2,) bounds of a weighted mean over classes, from the classes' own bounds and their correlation.

    mean -+ sqrt(u' R u) with u = weight times distance from a class's value to its bound, and R the correlation over resamples
    (Zou & Donner, Statistics in Medicine 2008); a class that does not vary over resamples is uncorrelated.

    Args:
        values: (C,) within 0 … 1; NaN is left out.
        bounds: (2, C) lower and upper.
        weights: (C,) at least 0, in any unit.
        resampled: (R, C) the values in resamples.

    Returns:
        NaN where no value is defined or R is below 2.
    """
    chosen = ~np.isnan(values) & ~np.isnan(bounds).any(axis=0) & (weights > 0)
    if not chosen.any() or len(resampled) < 2:
        return np.full(2, np.nan)
    values, bounds, resampled = values[chosen], bounds[:, chosen], resampled[:, chosen]
    weights = weights[chosen] / weights[chosen].sum()
    sides = weights * np.abs(bounds - values)
    half = np.sqrt(np.einsum("sc,cd,sd->s", sides, _correlation(resampled), sides))
    found: np.ndarray = np.clip((weights * values).sum() + np.array([-1, 1]) * half, 0, 1)
    return found


def _correlation(resampled: np.ndarray) -> np.ndarray:
    """(C, C) of the values of C classes over R resamples; a class that does not vary is uncorrelated."""
    std = np.nan_to_num(std_of_defined(resampled))
    standard = np.nan_to_num((resampled - means_of_defined(resampled.T)) / np.where(std > 0, std, np.inf))
    correlation: np.ndarray = standard.T @ standard / (len(standard) - 1)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def mean_proportion_interval(
    values: np.ndarray, bounds: np.ndarray, trials: np.ndarray, weights: np.ndarray, resampled: np.ndarray
) -> np.ndarray:
    """(2,) bounds of a weighted mean over classes of proportions, some of which have few trials.

    With one trial a proportion is 0 or 1, and the exact bounds leave half of the variance out of each side of a mean. Here a
    class has the variance q (1 - q) / trials, where q is its proportion after four more trials at the mean of all classes
    (Agresti & Coull, The American Statistician 1998, add four trials at 1/2). With the correlation R over resamples, the
    variance of the mean is u' R u, u = weight times standard deviation; the interval is on the logit scale.

    Args:
        values: (C,) within 0 … 1; NaN is left out.
        bounds: (2, C) the classes' exact bounds, which `combined_interval` combines for a mean of 0 or 1 and for one class.
        trials: (C,) effective number.
        weights: (C,) at least 0, in any unit.
        resampled: (R, C) the values in resamples.

    Returns:
        NaN where no value is defined or R is below 2.
    """
    from scipy.special import expit, logit, ndtri

    chosen = ~np.isnan(values) & (trials > 0) & (weights > 0)
    share = weights[chosen] / max(weights[chosen].sum(), 1e-300)
    mean = float((share * values[chosen]).sum())
    if chosen.sum() < 2 or len(resampled) < 2 or not _LEAST < mean < 1 - _LEAST:
        return combined_interval(values, bounds, weights, resampled)
    count = trials[chosen]
    q = (values[chosen] * count + _ADDED_TRIALS * mean) / (count + _ADDED_TRIALS)
    sides = share * np.sqrt(q * (1 - q) / count)
    std = np.sqrt(sides @ _correlation(resampled[:, chosen]) @ sides)
    half = ndtri(0.975) * std / (mean * (1 - mean))
    found: np.ndarray = expit(logit(mean) + np.array([-1, 1]) * half)
    return found


_ADDED_TRIALS = 4


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
