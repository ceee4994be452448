"""Differences between two scorers when it is drawn by lot, patient by patient, which of the two is called the other.

If both rank the images equally well, the two can be swapped within any patient, all images and classes together, and the
difference in AP or AUROC is as likely as before. As the scales of two scorers differ, ranks are swapped, class by class: ties
of a scorer have their mean rank, and equal ranks of the two scorers are put in a random order.

The scores of both are merged into one order of 2 N entries. After a swap each scorer has one entry of every image, so that its
AP is that of the merged order with weights of 1 and 0: the work of a bootstrap resample (`bootstrap`), and the sums for one
scorer give those for the other.
"""

import numpy as np

from cxrlt_cli.metrics.bootstrap import RankedClass
from cxrlt_cli.metrics.ranking import checked
from cxrlt_cli.metrics.resampling import LARGE, over_resamples, swaps


def swapped_differences(
    scores: np.ndarray,
    targets: np.ndarray,
    label_mask: np.ndarray,
    patients: np.ndarray,
    permutations: int = 10_000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Differences other - base in AP and in AUROC when the two are swapped in a random half of the patients.

    Args:
        scores: (2, M, N, C) finite, higher means more likely: base and other. Each may be M networks; these are swapped in
            pairs, all at the same time, and the differences of the pairs are averaged.
        targets: (N, C) 1 or 0, or bool; ignored where `label_mask` is false.
        label_mask: (N, C) bool.
        patients: (N,) ids.
        permutations: how many.
        seed: equal seeds give equal swaps.

    Returns:
        (Q, C) of AP and (Q, C) of AUROC, float64; NaN where a class has no positive, or for AUROC no negative.

    Raises:
        ValueError: other shapes, a score that is not finite, or a known target that is neither 1 nor 0.
    """
    if scores.ndim != 4 or len(scores) != 2 or len(patients) != scores.shape[2]:
        raise ValueError(f"scores are (2, M, N, C), not {scores.shape}, and patients {patients.shape} are (N,)")
    positive = np.stack([checked(one, targets, label_mask) for both in scores for one in both])[0]
    names, codes = np.unique(patients, return_inverse=True)
    draws = np.random.default_rng(seed)
    pairs = []
    for c in range(scores.shape[3]):
        rows = np.flatnonzero(label_mask[:, c])
        given = positive[rows, c], codes[rows], len(names), draws, scores.size > LARGE
        pairs.append([_Pair(scores[:, network, rows, c], *given) for network in range(scores.shape[1])])

    def differences(swapped: np.ndarray) -> np.ndarray:
        found = [np.mean([pair.difference(swapped) for pair in of_class], axis=0) for of_class in pairs]
        return np.moveaxis(np.array(found).reshape(len(pairs), 2, -1), -1, 0)  # (B, C, 2)

    found = over_resamples(len(names), differences, permutations, seed, swaps)
    return found[..., 0], found[..., 1]


class _Pair:
    """Two scorers of one class in one order; the patient number identifies their entries."""

    def __init__(
        self,
        scores: np.ndarray,
        positive: np.ndarray,
        codes: np.ndarray,
        count: int,
        draws: np.random.Generator,
        large: bool,
    ) -> None:
        patients = np.append(codes, codes + count)
        self._ranked = RankedClass(merged_ranks(scores, draws), np.tile(positive, 2), patients, large)
        self._both = self._ranked.sums(np.ones((2 * count, 1), dtype=np.float32))

    def difference(self, swapped: np.ndarray) -> np.ndarray:
        """(2, B) other - base in AP and AUROC; `swapped` (patients, B) is 1 for the patients whose scorers are swapped."""
        of_base = self._ranked.sums(np.concatenate([1 - swapped, swapped]))
        width = swapped.shape[1]
        of_other = [np.repeat(both, width, axis=1) - one for both, one in zip(self._both, of_base, strict=True)]
        base, other = (self._ranked.figures_of_sums(sums)[:2] for sums in (of_base, of_other))
        difference: np.ndarray = other - base
        return difference


def merged_ranks(scores: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """(2 N,) places in one order of both scorers' ranks, base first; what ties in a scorer has one place.

    Args:
        scores: (2, N) of base and other.
        draws: decides between equal ranks of the two.
    """
    doubled, inverses, places = [], [], 0
    for one in scores:
        _, inverse, count = np.unique(one, return_inverse=True, return_counts=True)
        doubled.append(2 * np.cumsum(count) - count + 1)  # twice the mean rank
        inverses.append(inverse + places)
        places += len(count)
    order = np.lexsort((draws.random(places), np.concatenate(doubled)))
    place = np.empty(places, dtype=np.int64)
    place[order] = np.arange(places)
    merged: np.ndarray = place[np.concatenate(inverses)]
    return merged
