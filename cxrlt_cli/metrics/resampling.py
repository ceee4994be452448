"""Bootstrap over patients: a resample draws as many patients as there are, with replacement, each with all its images.

A resample is held as how often each patient is in it. Everything that is a sum over images is then a sum of these weights,
taken for a block of resamples at a time: one pass over the images serves the whole block.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

BLOCK = 32  # resamples at a time: a patient's weights fill two lines of the processor's cache


def multiplicities(patients: int, seed: int, resample: int) -> np.ndarray:
    """(patients,) int64: how often each patient is in a resample, which is a function of seed and number alone."""
    drawn = np.random.default_rng((seed, resample)).integers(patients, size=patients)
    return np.bincount(drawn, minlength=patients)


def swaps(patients: int, seed: int, permutation: int) -> np.ndarray:
    """(patients,) int64 of 0 and 1, each as likely: whose two scorers are swapped; a function of seed and number alone."""
    return np.random.default_rng((seed, permutation, 1)).integers(2, size=patients)


def over_resamples(
    patients: int,
    figures: Callable[[torch.Tensor], np.ndarray],
    resamples: int = 1000,
    seed: int = 0,
    draw: Callable[[int, int, int], np.ndarray] = multiplicities,
) -> np.ndarray:
    """(resamples, ...) float64: what `figures` makes of each resample.

    Args:
        patients: how many there are.
        figures: weights (patients, B) float32 of B resamples -> (B, ...) figures. Called in as many threads as torch uses.
        resamples: how many; 0 gives an empty array of the right shape.
        seed: equal seeds give equal resamples of equally many patients, so that two calls are paired.
        draw: patients, seed and number of a resample -> each patient's weight in it.
    """

    def block(first: int) -> np.ndarray:
        numbers = range(first, min(first + BLOCK, resamples))
        weights = np.stack([draw(patients, seed, number) for number in numbers], axis=1, dtype=np.float32)
        return figures(torch.from_numpy(weights))

    if not resamples:
        return figures(torch.zeros(patients, 1))[:0]
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(before, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return np.concatenate(list(pool.map(block, range(0, resamples, BLOCK))))
    finally:
        torch.set_num_threads(before)


class Bags:
    """Sums of weights over groups of images, for all resamples of a block.

    torch's `embedding_bag` adds up rows of a float32 table without keeping what it gathers. The weights are whole numbers, so
    the sums are exact below 2^24 (and good to float32 where the images have values).
    """

    def __init__(self, codes: np.ndarray, starts: np.ndarray, lengths: np.ndarray, values: np.ndarray | None = None) -> None:
        """Group g is `codes[starts[g] : starts[g] + lengths[g]]`; it may be empty.

        Args:
            codes: (N,) int patient number of each image.
            starts: (G,) int.
            lengths: (G,) int.
            values: (N,) factor of each image's weight; None for 1.
        """
        ends = np.cumsum(lengths)
        begins = ends - lengths
        places = np.arange(ends[-1]) + np.repeat(starts - begins, lengths)
        self._codes = torch.from_numpy(codes[places].astype(np.int32))
        self._begins = torch.from_numpy(begins.astype(np.int32))
        self._values = None if values is None else torch.from_numpy(values[places].astype(np.float32))

    def sums(self, weights: torch.Tensor) -> np.ndarray:
        """(G, B) float32 sums of weights (patients, B)."""
        bag = torch.nn.functional.embedding_bag
        summed: np.ndarray = bag(self._codes, weights, self._begins, mode="sum", per_sample_weights=self._values).numpy()
        return summed
