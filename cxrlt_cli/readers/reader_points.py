"""A reader of images as a point in ROC space, and the network's ROC curve at that point.

A reader has one sensitivity and one specificity, a network a curve. The two are compared where the curve has the reader's own
specificity (which sensitivity does the network have there?) and where it has the reader's own sensitivity. The threshold
belongs to the sample: in every bootstrap resample the reader's point and the curve are both computed again.

Between two neighbouring scores the curve is interpolated linearly. Where a whole step of it has the wanted specificity (or
sensitivity), its middle is taken: the two ends of the step favour the network and the reader.
"""

import math
from dataclasses import dataclass

import numpy as np

#: What `ReaderPoints.figures` gives, in this order. The last two are of the network.
FIGURES = (
    "sensitivity", "specificity", "ppv", "kappa", "network_sensitivity", "network_specificity",
)  # fmt: skip


@dataclass(frozen=True)
class ReaderPoints:
    """One reader and one class, prepared for resamples: images in descending order of the network's score.

    Attributes:
        patients: (N,) int patient number of each image.
        positive: (N,) bool, by the reference.
        called: (N,) bool, called positive by the reader.
        steps: (G,) int, where each group of equal scores begins.
    """

    patients: np.ndarray
    positive: np.ndarray
    called: np.ndarray
    steps: np.ndarray

    def figures(self, weights: np.ndarray) -> np.ndarray:
        """(B, len(FIGURES)) float64 in B samples, NaN where undefined.

        Kappa is Cohen's (Educational and Psychological Measurement 1960).

        Args:
            weights: (patients, B) how often each patient is in each sample.
        """
        of_image = weights[self.patients].astype(np.float64)
        positive, negative = of_image * self.positive[:, None], of_image * ~self.positive[:, None]
        true, false = positive[self.called].sum(axis=0), negative[self.called].sum(axis=0)
        positives, negatives = positive.sum(axis=0), negative.sum(axis=0)
        curve = [_cumulated(kind, self.steps) for kind in (positive, negative)]
        found = [
            _ratio(true, positives),
            1 - _ratio(false, negatives),
            _ratio(true, true + false),
            _kappa(true, false, positives, negatives),
            _ratio(_interpolated(curve[1], curve[0], false), positives),
            1 - _ratio(_interpolated(curve[0], curve[1], true), negatives),
        ]
        found[4], found[5] = np.where(negatives > 0, found[4], np.nan), np.where(positives > 0, found[5], np.nan)
        return np.stack(found, axis=1)

    def on_the_curve_p(self) -> float:
        """p-value of: the reader's point lies on the network's curve, two-sided.

        For a threshold of the network, McNemar's test for several images a patient (Durkalski et al., Statistics in Medicine
        2003) compares its calls with the reader's, on the positives and on the negatives: z^2 = (sum of d)^2 / sum of d^2,
        where d is how many more images of a patient the network calls. If the point lies on the curve, both differences are 0
        at one and the same threshold; the smallest sum of the two z^2 over all thresholds then has the chi-squared
        distribution with 2 - 1 degrees of freedom (minimum chi-squared: two conditions less one free parameter). The test
        needs no estimate of the slope of the curve; `docs/explanation/statistics.md` has how often it finds a difference
        where there is none. NaN without a positive or without a negative.
        """
        if self.positive.all() or not self.positive.any():
            return float("nan")
        least = float((self._squares(self.positive) + self._squares(~self.positive)).min())
        return math.erfc(math.sqrt(least / 2))

    def _squares(self, kind: np.ndarray) -> np.ndarray:
        """(G + 1,) McNemar's z^2 on some images at each threshold, from calling none of them on."""
        start = np.bincount(self.patients, weights=-(self.called & kind).astype(float), minlength=self.patients.max() + 1)
        before = start[self.patients] + _earlier(self.patients, kind)  # d of the patient when the image is called too
        sums = start.sum() + np.append(0, np.cumsum(kind))
        squares = (start**2).sum() + np.append(0, np.cumsum(np.where(kind, 2 * before + 1, 0)))
        ends = np.append(self.steps, len(kind))
        found: np.ndarray = sums[ends] ** 2 / np.maximum(squares[ends], 1)  # where no image differs both are 0
        return found

    @property
    def patients_with(self) -> dict[str, int]:
        """How many patients have a positive, a negative, a true positive, a missed positive and a false positive."""
        called, positive = self.called, self.positive
        kinds = {
            "positive": positive, "negative": ~positive, "hit": called & positive, "missed": ~called & positive,
            "false": called & ~positive,
        }  # fmt: skip
        return {name: len(np.unique(self.patients[images])) for name, images in kinds.items()}


def reader_points(scores: np.ndarray, positive: np.ndarray, called: np.ndarray, patients: np.ndarray) -> ReaderPoints:
    """Prepares the images that one reader read.

    Args:
        scores: (N,) of the network, finite, higher means more likely.
        positive: (N,) bool, by the reference.
        called: (N,) bool, called positive by the reader.
        patients: (N,) int >= 0.

    Raises:
        ValueError: other shapes, or a score that is not finite.
    """
    if not len(scores) == len(positive) == len(called) == len(patients) or not np.isfinite(scores).all():
        raise ValueError("scores, positive, called and patients have one finite value an image")
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    steps = np.flatnonzero(np.append(True, descending[1:] != descending[:-1])[: len(scores)])
    return ReaderPoints(patients[order], positive[order].astype(bool), called[order].astype(bool), steps)


def network_degrees(points: ReaderPoints) -> tuple[int, int]:
    """Degrees of freedom of the network's sensitivity, and of its specificity, at the reader's point.

    One less than the patients with a positive (negative), of whom the figure is a fraction, and at most twice the patients in
    whom the reader's own point is the rarer way: a variance that is estimated from a count of k has 2 k degrees of freedom.
    0 is no interval.
    """
    count = points.patients_with
    at_specificity = min(count["positive"] - 1, 2 * count["false"])
    return max(at_specificity, 0), max(min(count["negative"] - 1, 2 * min(count["hit"], count["missed"])), 0)


def _cumulated(weights: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """(G + 1, B) weight of the images scored as high as each distinct score or higher, from 0 on."""
    summed = np.cumsum(np.add.reduceat(weights, steps, axis=0), axis=0) if len(steps) else weights
    return np.concatenate([np.zeros((1, weights.shape[1])), summed])


def _interpolated(along: np.ndarray, up: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(B,) height of the curve where it has come as far along as wanted; of a step its middle.

    Args:
        along: (G + 1, B) ascending from 0.
        up: (G + 1, B) ascending from 0.
        wanted: (B,) within 0 and the end of `along`.
    """
    sample = np.arange(len(wanted))
    last = (along <= wanted).sum(axis=0) - 1
    first = np.minimum((along < wanted).sum(axis=0), len(along) - 1)
    width = along[first, sample] - along[last, sample]  # above 0 only between two points, where first is last + 1
    part = np.where(width > 0, (wanted - along[last, sample]) / np.maximum(width, 1e-300), 0.5)
    height: np.ndarray = up[last, sample] * (1 - part) + up[first, sample] * part
    return height


def _kappa(true: np.ndarray, false: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Observed less expected agreement, as a fraction of the largest possible; NaN where both only know one answer."""
    images = positives + negatives
    of = np.maximum(images, 1)
    called = true + false
    agreed = (true + negatives - false) / of
    expected = (called * positives + (images - called) * negatives) / of**2
    return _ratio(agreed - expected, np.where(images > 0, 1 - expected, 0.0))


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    return np.where(under > 0, over / np.where(under > 0, under, 1.0), np.nan)


def _earlier(patients: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """(N,) how many earlier images of the same patient are of a kind."""
    order = np.argsort(patients, kind="stable")
    of_kind = np.cumsum(kind[order]) - kind[order]
    begins = np.append(True, patients[order][1:] != patients[order][:-1])
    found = np.empty(len(kind), dtype=np.int64)
    found[order] = of_kind - np.repeat(of_kind[begins], np.diff(np.append(np.flatnonzero(begins), len(kind))))
    return found
