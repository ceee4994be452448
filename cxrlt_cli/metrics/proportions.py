"""Intervals of proportions where patients have several images: sensitivity, specificity, predictive values, F1."""

from dataclasses import dataclass

import numpy as np

_Z = 1.959963984540054  # normal quantile of a two-sided level of 95 %


@dataclass(frozen=True)
class Proportion:
    """A proportion with its 95 % interval, all within 0 … 1; NaN where there is no trial.

    Attributes:
        value: hits / trials.
        low: lower bound.
        high: upper bound.
        trials: their effective number, 0 where there is none.
    """

    value: float
    low: float
    high: float
    trials: float


def proportion(hits: np.ndarray, trials: np.ndarray, patients: np.ndarray) -> Proportion:
    """The fraction of trials that are hits, with an exact 95 % interval for the effective number of trials.

    The interval of Korn & Graubard (Survey Methodology 1998): Clopper and Pearson's (Biometrika 1934) with the effective
    number of trials in place of the number, which `effective_trials` gives.

    Args:
        hits: (N,) bool, counted where `trials` is True.
        trials: (N,) bool.
        patients: (N,) int >= 0, number of each image's patient.
    """
    counts = np.bincount(patients[trials])
    of = counts[counts > 0].astype(np.float64)
    if not len(of):
        return _UNDEFINED
    found = np.bincount(patients[trials], weights=hits[trials].astype(np.float64))[counts > 0]
    value = float(found.sum() / of.sum())
    effective = effective_trials(found, of)
    return Proportion(value, *clopper_pearson(value, effective), effective)


_UNDEFINED = Proportion(float("nan"), float("nan"), float("nan"), 0.0)


def effective_trials(hits: np.ndarray, trials: np.ndarray) -> float:
    """Effective sample size: the number of independent trials with the same information as clustered ones.

    n1 = p (1 - p) / v (z / t)^2, with v the variance of the ratio over patients (Rao & Scott, Biometrics 1992) and t
    Student's quantile for m - 1 patients (Korn & Graubard 1998). With hits or misses in only k patients v is a poor
    estimate, so that the harmonic mean of n1 and of the number for images that agree within a patient, n0 = (sum n)^2 /
    sum n^2, is taken, with the weights k / (k + 1) and 1 / (k + 1). At 0 and 1 this is n0.

    Args:
        hits: (m,) hits of each patient.
        trials: (m,) trials of each patient, at least 1.

    Returns:
        Within 1 … sum of trials.
    """
    from scipy.special import stdtrit

    total, patients = float(trials.sum()), len(trials)
    p = float(hits.sum()) / total
    alike = total**2 / float((trials**2).sum())
    mixed = min(int((hits > 0).sum()), int((hits < trials).sum()))
    if mixed == 0 or patients == 1:
        return alike
    variance = patients / (patients - 1) * float(((hits - trials * p) ** 2).sum()) / total**2
    counted = p * (1 - p) / max(variance, 1e-300) * (_Z / float(stdtrit(patients - 1, 0.975))) ** 2
    weight = mixed / (mixed + 1)
    return min(max(1 / (weight / counted + (1 - weight) / alike), 1.0), total)


def clopper_pearson(value: float, trials: float, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion; the number of trials, and of hits, need not be whole.

    Args:
        value: the proportion, within 0 … 1.
        trials: above 0.
        level: what it covers at least, for independent trials.

    Returns:
        Lower and upper bound.
    """
    from scipy.special import betaincinv

    tail, hits = (1 - level) / 2, value * trials
    low = 0.0 if value <= 0 else float(betaincinv(hits, trials - hits + 1, tail))
    high = 1.0 if value >= 1 else float(betaincinv(hits + 1, trials - hits, 1 - tail))
    return low, high


def f1_proportion(called: np.ndarray, positive: np.ndarray, patients: np.ndarray) -> Proportion:
    """F1 with its interval: 2 q / (1 + q), where q = TP / (TP + FP + FN) is a proportion.

    (Hand, Christen & Kirielle, Machine Learning 2021.) NaN without a positive.

    Args:
        called: (N,) bool, called positive.
        positive: (N,) bool.
        patients: (N,) int.
    """
    if not positive.any():
        return _UNDEFINED
    q = proportion(called & positive, called | positive, patients)
    value, low, high = (2 * bound / (1 + bound) for bound in (q.value, q.low, q.high))
    return Proportion(value, low, high, q.trials)
