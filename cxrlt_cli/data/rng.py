"""Random numbers as a function of (seed, epoch, row): the same with any number of workers and ranks, and after a resume."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """Purpose of a random number. Streams are independent of each other. Never renumber them."""

    ORDER = 1
    FLIP = 2
    ROTATION = 3
    ZOOM = 4
    SHIFT_X = 5
    SHIFT_Y = 6
    CONTRAST = 7
    BRIGHTNESS = 8
    BATCH = 9
    DROPOUT = 10
    SAMPLE = 11
    CUTMIX = 12
    MOSAIC = 13
    BLUR = 14
    NOISE = 15
    ERASE = 16
    ERASE_X = 17
    ERASE_Y = 18
    ERASE_SHAPE = 19
    NOISE_PLACE = 20
    VIEW = 21


def uniform(seed: int, epoch: int, rows: np.ndarray, stream: Stream) -> np.ndarray:
    """(B,) float64 in [0, 1), one per row: a hash of the arguments (splitmix64 rounds, Steele et al., OOPSLA 2014)."""
    state = np.full(len(rows), _mixed(seed, epoch, stream), dtype=np.uint64)
    return (_splitmix(state ^ _splitmix(rows.astype(np.uint64))) >> np.uint64(11)) * 2.0**-53


def permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    """(count,) random order of the rows for an epoch."""
    return np.argsort(uniform(seed, epoch, np.arange(count), Stream.ORDER), kind="stable")


def batch_generator(seed: int, step: int, stream: Stream) -> np.random.Generator:
    """Generator for values drawn once per batch, such as MixUp's lambda; `step` counts from the start of training."""
    return np.random.Generator(np.random.Philox(key=_mixed(seed, step, stream)))


def step_seed(seed: int, step: int) -> int:
    """Torch's seed for one step (dropout), so that a resumed run needs no saved generator state."""
    return _mixed(seed, step, Stream.DROPOUT) >> 1


def _mixed(*parts: int) -> int:
    state = np.zeros(1, dtype=np.uint64)
    for part in parts:
        state = _splitmix(state ^ np.array([part], dtype=np.uint64))
    return int(state[0])


def _splitmix(value: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is intended
        value = value + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(value ^ (value >> np.uint64(31)))
