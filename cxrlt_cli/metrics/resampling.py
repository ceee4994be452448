"""Bootstrap over patients: a resample draws as many patients as there are, with replacement, each with all its images.

A resample is held as how often each patient is in it. Everything that is a sum over images is then a sum of these weights,
taken for a block of resamples at a time: one pass over the images serves the whole block.
"""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

#: Scores (networks x images x classes) from which torch sums: it takes half of scipy's time, but about a second to import.
LARGE = 1 << 20
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
    figures: Callable[[np.ndarray], np.ndarray],
    resamples: int = 1000,
    seed: int = 0,
    draw: Callable[[int, int, int], np.ndarray] = multiplicities,
) -> np.ndarray:
    """(resamples, ...) float64: what `figures` makes of each resample.

    Args:
        patients: how many there are.
        figures: weights (patients, B) float32 of B resamples -> (B, ...) figures. Called in several threads.
        resamples: how many; 0 gives an empty array of the right shape.
        seed: equal seeds give equal resamples of equally many patients, so that two calls are paired.
        draw: patients, seed and number of a resample -> each patient's weight in it.
    """

    def block(first: int) -> np.ndarray:
        numbers = range(first, min(first + BLOCK, resamples))
        weights = np.stack([draw(patients, seed, number) for number in numbers], axis=1, dtype=np.float32)
        return figures(weights)

    if not resamples:
        return figures(np.zeros((patients, 1), dtype=np.float32))[:0]
    torch: Any = sys.modules.get("torch")
    if torch is None:
        with ThreadPoolExecutor(_threads()) as pool:
            return np.concatenate(list(pool.map(block, range(0, resamples, BLOCK))))
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(before, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return np.concatenate(list(pool.map(block, range(0, resamples, BLOCK))))
    finally:
        torch.set_num_threads(before)


def _threads() -> int:
    """As many as torch would use: OMP_NUM_THREADS, else the cores of this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(given), cores) if given.isdecimal() and int(given) else cores


class Bags:
    """Sums of weights over groups of images, for all resamples of a block.

    The weights are whole numbers, so that the sums are exact below 2^24 (and good to float32 where the images have values).
    Many are summed by torch's `embedding_bag`, few by a sparse matrix of scipy.
    """

    def __init__(
        self, codes: np.ndarray, starts: np.ndarray, lengths: np.ndarray, values: np.ndarray | None = None, large: bool = False
    ) -> None:
        """Group g is `codes[starts[g] : starts[g] + lengths[g]]`; it may be empty.

        Args:
            codes: (N,) int patient number of each image.
            starts: (G,) int.
            lengths: (G,) int.
            values: (N,) factor of each image's weight; None for 1.
            large: whether torch sums.
        """
        ends = np.cumsum(lengths)
        begins = ends - lengths
        places = np.arange(ends[-1]) + np.repeat(starts - begins, lengths)
        chosen = codes[places].astype(np.int32)
        factors = None if values is None else values[places].astype(np.float32)
        self._sums = (_torch_sums if large else _scipy_sums)(chosen, np.append(begins, ends[-1]).astype(np.int32), factors)

    def sums(self, weights: np.ndarray) -> np.ndarray:
        """(G, B) float32 sums of float32 weights (patients, B)."""
        return self._sums(weights)


def _torch_sums(codes: np.ndarray, bounds: np.ndarray, values: np.ndarray | None) -> Callable[[np.ndarray], np.ndarray]:
    """Sums over `codes[bounds[g] : bounds[g + 1]]`. torch adds up rows of a table without keeping what it gathers."""
    import torch

    factors = None if values is None else torch.from_numpy(values)
    given = torch.from_numpy(codes), torch.from_numpy(bounds[:-1])

    def sums(weights: np.ndarray) -> np.ndarray:
        bag = torch.nn.functional.embedding_bag
        summed: np.ndarray = bag(given[0], torch.from_numpy(weights), given[1], mode="sum", per_sample_weights=factors).numpy()
        return summed

    return sums


def _scipy_sums(codes: np.ndarray, bounds: np.ndarray, values: np.ndarray | None) -> Callable[[np.ndarray], np.ndarray]:
    """As `_torch_sums`."""
    from scipy.sparse import csr_array

    factors = np.ones(len(codes), dtype=np.float32) if values is None else values
    patients = int(codes.max(initial=0)) + 1
    table = csr_array((factors, codes, bounds), shape=(len(bounds) - 1, patients))

    def sums(weights: np.ndarray) -> np.ndarray:
        summed: np.ndarray = table @ weights[:patients]
        return summed

    return sums
