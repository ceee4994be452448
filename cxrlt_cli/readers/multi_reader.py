"""Figures of several readers of the same images: their mean, for readers like these and for these readers.

A difference network - reader of every reader is one row of a study of many readers and many cases (MRMC) with one treatment.
The analysis is that of Obuchowski and Rockette (Communications in Statistics 1995) with Hillis's degrees of freedom (Statistics
in Medicine 2007), for a system that reads alone against readers as in Chakraborty, Observer Performance Methods for Diagnostic
Imaging (2017), chapter 22. Images and readers are both drawn at random.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ReaderMean:
    """A mean over readers; NaN where undefined.

    Attributes:
        value: the mean.
        low: lower bound of its 95 % interval.
        high: upper bound.
        p: of a mean of 0, two-sided.
        degrees: of freedom of Student's t.
    """

    value: float
    low: float
    high: float
    p: float
    degrees: float


def mean_over_readers(values: np.ndarray, covariance: np.ndarray, most_degrees: float = np.inf) -> ReaderMean:
    """The mean over readers who are a sample of readers, on images that are a sample of images.

    With R readers, MS = variance of their values and Cov = mean covariance of two readers over samples of the images, not
    below 0: variance of the mean = (MS + R Cov) / R, with (MS + R Cov)^2 / (MS^2 / (R - 1)) degrees of freedom.

    MS holds the readers' own error, Var - Cov (the mean variance of a reader less Cov), and is not allowed below it: two or
    three readers who agree by chance would otherwise give p-values that are too small. Where MS is larger this is the
    published analysis.

    Args:
        values: (R,) a figure of each reader.
        covariance: (R, R) of these values over samples of the images: from a bootstrap over patients, or a jackknife.
        most_degrees: an upper bound, where the covariance itself is estimated from few patients.

    Returns:
        NaN bounds and p with fewer than two readers.
    """
    readers, value = len(values), float(values.mean()) if len(values) else float("nan")
    if readers < 2:
        return ReaderMean(value, *[float("nan")] * 4)
    variance = float(np.trace(covariance)) / readers
    shared = float(covariance.sum() - np.trace(covariance)) / (readers * (readers - 1))
    spread = max(float(values.var(ddof=1)), variance - max(shared, 0.0))
    total = spread + readers * max(shared, 0.0)
    degrees = total**2 / (spread**2 / (readers - 1)) if spread > 0 else np.inf
    return _students(value, (total / readers) ** 0.5, min(degrees, most_degrees))


def mean_of_these_readers(values: np.ndarray, covariance: np.ndarray, degrees: float) -> ReaderMean:
    """The mean over readers who are meant themselves: only the images are a sample.

    Args:
        values: (R,) a figure of each reader.
        covariance: (R, R) of these values over samples of the images.
        degrees: of freedom; 0 gives no interval.
    """
    if not len(values):
        return ReaderMean(*[float("nan")] * 5)
    return _students(float(values.mean()), max(float(covariance.sum()), 0.0) ** 0.5 / len(values), degrees)


def _students(value: float, error: float, degrees: float) -> ReaderMean:
    from scipy.special import ndtr, ndtri, stdtr, stdtrit

    if not degrees > 0 or not np.isfinite(error):
        return ReaderMean(value, *[float("nan")] * 4)
    if error == 0:  # all readers and all resamples alike: nothing to learn from
        return ReaderMean(value, float("nan"), float("nan"), float("nan"), degrees)
    t = abs(value) / error
    if np.isinf(degrees):
        return ReaderMean(value, value + ndtri(0.025) * error, value + ndtri(0.975) * error, 2 * float(ndtr(-t)), degrees)
    half = float(stdtrit(degrees, 0.975)) * error
    return ReaderMean(value, value - half, value + half, 2 * float(stdtr(degrees, -t)), float(degrees))
