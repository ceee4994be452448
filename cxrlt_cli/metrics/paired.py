"""Paired differences between scorers of the same images, with 95 % intervals and p-values.

- p: `permutation`, the two scorers swapped in a random half of the patients. It is (1 + b) / (Q + 1) where b of Q swaps give a
  difference as large as the real one or larger, in either direction. It keeps its level for any number of positives; with
  `NO_POWER` positive patients or fewer hardly any difference can be significant; a note says so.
- interval: difference -+ t(k - 1) times its standard deviation over bootstrap resamples, k patients having a positive.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cxrlt_cli.metrics.bootstrap import Resampled, resample
from cxrlt_cli.metrics.intervals import MIN_POSITIVE_PATIENTS, std_of_defined
from cxrlt_cli.metrics.permutation import swapped_differences
from cxrlt_cli.metrics.ranking import PerClass, means_of_defined, per_class

NO_POWER = 3  # positive patients: with so few a test finds nothing


@dataclass(frozen=True)
class Scorers:
    """M scorers of the same images, in the same resamples.

    Attributes:
        scores: (M, N, C).
        targets: (N, C) 1 or 0.
        label_mask: (N, C) bool.
        patients: (N,) ids.
        metrics: of each scorer.
        resampled: of all, (M, R, C).
    """

    scores: np.ndarray
    targets: np.ndarray
    label_mask: np.ndarray
    patients: np.ndarray
    metrics: list[PerClass]
    resampled: Resampled


@dataclass(frozen=True)
class Differences:
    """Differences other - base of G metrics; all fields are (G,), NaN where undefined.

    Attributes:
        base: values of the base.
        other: values of the other.
        low: lower bound of the 95 % interval of the difference.
        high: upper bound; both NaN below `MIN_POSITIVE_PATIENTS` patients with a positive.
        p: of no difference, two-sided.
        positive_patients: int64.
    """

    base: np.ndarray
    other: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    positive_patients: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """(G,) other - base."""
        difference: np.ndarray = self.other - self.base
        return difference

    @property
    def notes(self) -> list[str]:
        """A note for each p-value: that too few patients have a positive for a test, or empty."""
        return ["no power" if 0 < count <= NO_POWER else "" for count in self.positive_patients]


@dataclass(frozen=True)
class Paired:
    """A metric of each class for two scorers, from which differences of classes and of means over classes are made.

    Attributes:
        base: (C,) values of the base.
        other: (C,) values of the other.
        resampled: (R, C) differences in resamples.
        swapped: (Q, C) differences when the two are swapped in half of the patients.
        has_positive: (J, C) bool, which patients have a positive of which class.
    """

    base: np.ndarray
    other: np.ndarray
    resampled: np.ndarray
    swapped: np.ndarray
    has_positive: np.ndarray

    def of_classes(self) -> Differences:
        """Of each class."""
        return _differences(self.base, self.other, self.resampled, self.swapped, self.has_positive.sum(axis=0))

    def of_mean(self, classes: np.ndarray) -> Differences:
        """Of the mean over the classes (a bool or index array) in which it is defined; G is 1."""
        values = [np.atleast_1d(means_of_defined(one[..., classes])) for one in (self.base, self.other)]
        drawn = [means_of_defined(one[:, classes])[:, None] for one in (self.resampled, self.swapped)]
        return _differences(
            values[0], values[1], drawn[0], drawn[1], self.has_positive[:, classes].any(axis=1).sum(keepdims=True)
        )


def _differences(
    base: np.ndarray, other: np.ndarray, resampled: np.ndarray, swapped: np.ndarray, patients: np.ndarray
) -> Differences:
    from scipy.special import stdtrit

    difference = other - base
    half = stdtrit(np.maximum(patients - 1, 1).astype(float), 0.975) * std_of_defined(resampled)
    half = np.where(patients >= MIN_POSITIVE_PATIENTS, half, np.nan)
    low, high = np.maximum(difference - half, -1), np.minimum(difference + half, 1)
    return Differences(base, other, low, high, permutation_p(difference, swapped), patients)


def permutation_p(difference: np.ndarray, swapped: np.ndarray) -> np.ndarray:
    """(...) two-sided p-values (1 + b) / (Q + 1) where b of Q swaps give as large a difference; NaN where it is undefined.

    Args:
        difference: (...) of the scorers as they are.
        swapped: (Q, ...) after swaps; what is equal but for rounding counts as equal.
    """
    as_large = (np.abs(swapped) >= np.abs(difference) - 1e-10).sum(axis=0)
    return np.where(np.isnan(difference), np.nan, (1 + as_large) / (len(swapped) + 1))


def score_all(
    scores: np.ndarray, targets: np.ndarray, label_mask: np.ndarray, patients: np.ndarray, resamples: int, seed: int = 0
) -> Scorers:
    """AP and AUROC of all scorers, in the sample and in the same resamples of the patients.

    Args:
        scores: (M, N, C) finite.
        targets: (N, C) 1 or 0.
        label_mask: (N, C) bool.
        patients: (N,) ids.
        resamples: how many.
        seed: of the resamples.
    """
    metrics = [per_class(one, targets, label_mask) for one in scores]
    resampled = resample(scores, targets, label_mask, patients, resamples, seed)
    return Scorers(scores, targets, label_mask, patients, metrics, resampled)


def paired(
    scorers: Scorers, base: Sequence[int], other: Sequence[int], permutations: int = 10_000, seed: int = 0
) -> tuple[Paired, Paired]:
    """AP and AUROC of two of the scorers, or of two groups of them (such as seeds), each of which is the mean of its members.

    Args:
        scorers: of the same images.
        base: which of them are the base.
        other: which are the other.
        permutations: swaps of the patients.
        seed: of the swaps.
    """
    count = math.lcm(len(base), len(other))
    pairs = np.array([[group[at % len(group)] for at in range(count)] for group in (base, other)])
    targets, label_mask = scorers.targets, scorers.label_mask
    swapped = swapped_differences(scorers.scores[pairs], targets, label_mask, scorers.patients, permutations, seed)
    positive = label_mask & (targets == 1)
    names, codes = np.unique(scorers.patients, return_inverse=True)
    has_positive = np.zeros((len(names), positive.shape[1]), dtype=bool)
    np.logical_or.at(has_positive, codes, positive)
    found = []
    for name, drawn in zip(("ap", "auroc"), swapped, strict=True):
        values, resampled = np.stack([getattr(one, name) for one in scorers.metrics]), getattr(scorers.resampled, name)
        sides = [(values[group].mean(axis=0), resampled[group].mean(axis=0)) for group in map(list, (base, other))]
        found.append(Paired(sides[0][0], sides[1][0], sides[1][1] - sides[0][1], drawn, has_positive))
    return found[0], found[1]
