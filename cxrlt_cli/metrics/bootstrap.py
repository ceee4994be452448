"""AP and AUROC of every class in every resample, equal to resampling rows and calling scikit-learn, ties included.

In the notation of `ranking`, with w the weight of an image in a resample: H(s) = weight of positives scored s, TP(s) and N(s) =
weight of positives and of all images scored s or higher, T(s) = weight of all images scored s, P and M = weight of all
positives and negatives.

- AP = 1/P * sum over distinct scores of positives of H TP / N
- AUROC = 1 - 1/(P M) * sum of H (N - TP - (T - H) / 2), the last term being the negatives above, and half of those that tie.
  As sum H TP = (P^2 + sum H^2) / 2, this is 1 - (sum H N - (P^2 + sum H T) / 2) / (P M).

A class is sorted once; resamples only change the weights. Between two neighbouring scores of positives the weights of all
images are summed (`Bags`), so that the rest is work on positives, few in the tail.
"""

from dataclasses import dataclass

import numpy as np

from cxrlt_cli.metrics.ranking import checked
from cxrlt_cli.metrics.resampling import LARGE, Bags, over_resamples

_RUNS = 256  # runs of neighbouring scores that are cumulated side by side: each step adds rows of _RUNS * BLOCK numbers
_EXACT = float(1 << 24)


@dataclass(frozen=True)
class Resampled:
    """Figures of M sets of scores in the same R resamples: differences between sets are paired.

    Attributes:
        ap: (M, R, C) float64, NaN where a resample has no positive of the class.
        auroc: (M, R, C) float64, NaN where it has no positive or no negative.
        positives: (R, C) float64, how many a resample has.
        negatives: (R, C) float64.
    """

    ap: np.ndarray
    auroc: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray

    @property
    def prevalence(self) -> np.ndarray:
        """(R, C) positives among known labels; NaN without a known label."""
        labelled = self.positives + self.negatives
        return np.where(labelled > 0, self.positives / np.maximum(labelled, 1), np.nan)


def resample(
    scores: np.ndarray, targets: np.ndarray, label_mask: np.ndarray, patients: np.ndarray, resamples: int = 1000, seed: int = 0
) -> Resampled:
    """Average precision and AUROC of every class in resamples of the patients.

    Memory: for M x C classes 4 bytes an image and 12 a positive, and while it runs for each core 400 bytes a patient and
    about 400 for each positive of the largest class.

    Args:
        scores: (M, N, C) finite, higher means more likely: M models that scored the same images.
        targets: (N, C) 1 or 0, or bool; whatever stands where `label_mask` is false is not looked at.
        label_mask: (N, C) bool.
        patients: (N,) ids; images of a patient are drawn together.
        resamples: how many.
        seed: equal seeds give equal resamples, also in another call with as many patients.

    Raises:
        ValueError: other shapes, a score that is not finite, a known target that is neither 1 nor 0, or a resample with 2^24
            images or more.
    """
    if scores.ndim != 3 or len(patients) != scores.shape[1]:
        raise ValueError(f"scores are (M, N, C), not {scores.shape}, and patients {patients.shape} are (N,)")
    positive = np.stack([checked(one, targets, label_mask) for one in scores])[0]
    names, codes = np.unique(patients, return_inverse=True)
    models, _, classes = scores.shape
    ranked = []
    for model in range(models):
        for c in range(classes):
            rows = np.flatnonzero(label_mask[:, c])
            ranked.append(RankedClass(scores[model, rows, c], positive[rows, c], codes[rows], scores.size > LARGE))

    def figures(weights: np.ndarray) -> np.ndarray:
        found = np.stack([one.figures(weights) for one in ranked])  # (M C, 4, B)
        return np.moveaxis(found.reshape(models, classes, 4, -1), -1, 0)

    found = over_resamples(len(names), figures, resamples, seed)
    ap, area, positives, negatives = np.moveaxis(found, -1, 0).swapaxes(1, 2)
    return Resampled(ap=ap, auroc=area, positives=positives[0], negatives=negatives[0])


class RankedClass:
    """One class sorted by score, descending, and cut into runs of distinct scores of positives.

    The runs advance side by side: step l holds the l-th score of every run, which makes cumulating an addition of long rows.
    The order in which scores are visited does not matter to a sum over all of them.
    """

    def __init__(self, scores: np.ndarray, positive: np.ndarray, codes: np.ndarray, large: bool = False) -> None:
        """Sorts (N,) scores, positives and patient numbers; `large` as in `Bags`."""
        self._large = large
        order = np.argsort(-scores)
        descending, codes = -scores[order], codes[order]
        at = np.flatnonzero(positive[order])
        of_positives = descending[at]
        first = np.flatnonzero(np.append(len(at) > 0, of_positives[1:] != of_positives[:-1]))
        here = np.diff(first, append=len(at))
        begins = np.searchsorted(descending, of_positives[first], "left")
        ends = np.searchsorted(descending, of_positives[first], "right")
        self.runs = min(_RUNS, len(first) + 1)
        #: Images after the former score up to this one; the last group are those below all positives.
        self._within = self._bags(codes, np.append(0, ends), np.diff(ends, prepend=0, append=len(codes)))
        self._here = self._bags(codes[at], np.append(first, 0), np.append(here, 0))
        tied = ends - begins
        self._tied = None if (tied == here).all() else self._bags(codes, np.append(begins, 0), np.append(tied, 0))

    def _bags(self, codes: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> Bags:
        """Groups in the order of steps, runs side by side; the last run is filled up with empty groups."""
        steps = -(-len(starts) // self.runs)
        order = np.arange(self.runs * steps).reshape(self.runs, steps).T.ravel()
        fill = (0, self.runs * steps - len(starts))
        return Bags(codes, np.pad(starts, fill)[order], np.pad(lengths, fill)[order], large=self._large)

    def _sums(self, bags: Bags, weights: np.ndarray) -> np.ndarray:
        """(steps, runs * B) float32."""
        return bags.sums(weights).reshape(-1, self.runs * weights.shape[1])

    def figures(self, weights: np.ndarray) -> np.ndarray:
        """(4, B) AP, AUROC, positives and negatives with the weights (patients, B) of B resamples."""
        return self.figures_of_sums(self.sums(weights))

    def sums(self, weights: np.ndarray) -> list[np.ndarray]:
        """Sums of weights from one distinct score of positives to the next, each (steps, runs * B).

        They are of the images in between, of the positives at the score, and of all images at it where that is more.
        """
        return [self._sums(bags, weights) for bags in (self._within, self._here, self._tied) if bags is not None]

    def figures_of_sums(self, sums: list[np.ndarray]) -> np.ndarray:
        """(4, B) AP, AUROC, positives and negatives of what `sums` gave."""
        within, here, tied = sums if len(sums) == 3 else (*sums, sums[1])
        reached, total = self._before(within)
        true, positives = self._before(here)
        if total.max(initial=0) >= _EXACT:
            raise ValueError("a resample has 2^24 images or more: their weights cannot be summed exactly")
        reached = np.maximum(reached, 1e-300)  # where nothing is reached yet, 0 / 0 would be no number
        ap, product, h = np.zeros_like(reached), np.empty_like(reached), np.empty_like(reached)
        h_n = np.zeros_like(reached)
        for step in range(len(within)):
            h[:] = here[step]
            reached += within[step]
            true += h
            np.divide(true, reached, out=product)
            product *= h
            ap += product
            np.multiply(h, reached, out=product)
            h_n += product
        exact = np.float32 if tied.max(initial=0) * positives.max(initial=0) < _EXACT else np.float64
        h_t = self._over_runs(np.einsum("sx,sx->x", here, tied, dtype=exact).astype(np.float64))
        negatives = total - positives
        with np.errstate(divide="ignore", invalid="ignore"):
            above = self._over_runs(h_n) - (positives * positives + h_t) / 2
            area = np.where(negatives > 0, 1 - above / (positives * negatives), np.nan)
            return np.stack([self._over_runs(ap) / positives, area, positives, negatives])

    def _before(self, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The weight (runs * B,) float64 before each run begins, and (B,) in all."""
        of_runs = sums.sum(axis=0).reshape(self.runs, -1)  # float32 is exact below `_EXACT`, which the caller checks
        through = np.cumsum(of_runs, axis=0, dtype=np.float64)
        return (through - of_runs).ravel(), through[-1]

    def _over_runs(self, values: np.ndarray) -> np.ndarray:
        summed: np.ndarray = values.reshape(self.runs, -1).sum(axis=0)
        return summed
