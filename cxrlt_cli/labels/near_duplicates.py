"""The same picture under two names: a leak when it stands in training and in the test."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

#: Two squares are one picture where their fine detail correlates at least so much. Radiographs of different patients stay below
#: 0.71 (measured on ChestX-ray14), even made-up ones of one anatomy below 0.95; copies at half the size and JPEG quality 60
#: are above 0.97.
LEAST_CORRELATION = 0.96

_DETAIL = 64  # px
_BLUR = 5  # px of these
_MOST_BITS = 16  # of 256; different radiographs differ in more than 40, copies in at most 10 (measured on the same)
_NEIGHBOURS = 8
_BLOCK = 256

#: (rows) -> (B, S, S) uint8
Read = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Pair:
    """Rows of two images that show the same picture; `exact` where every pixel is equal."""

    first: int
    second: int
    exact: bool


def same_pictures(hashes: np.ndarray, owners: np.ndarray, read: Read) -> list[Pair]:
    """Finds pictures that stand under two owners.

    Candidates have equal content hashes, or perceptual hashes that agree in one of their eight words of 32 bits and differ in
    at most 16 bits of 256: every pair that differs in up to 7 bits is among them, and most up to 16. Each is then decided by
    the pixels.

    Args:
        hashes: (N, 5) uint64 of `preprocess.image_hashes`; perceptual words that are 0 are no hash.
        owners: (N,) patient numbers: copies within one patient are not looked for.
        read: gives the pixels of rows.

    Returns:
        The pairs, first < second, sorted.
    """
    pairs = [np.stack(sides, axis=1) for sides in _candidates(hashes, owners)]
    ordered = np.unique(np.concatenate(pairs), axis=0) if pairs else np.empty((0, 2), dtype=np.int64)
    found: list[Pair] = []
    for start in range(0, len(ordered), _BLOCK):
        block = ordered[start : start + _BLOCK]
        for (first, second), one, other in zip(block.tolist(), read(block[:, 0]), read(block[:, 1]), strict=True):
            exact = bool((one == other).all())
            if exact or _correlation(one, other) >= LEAST_CORRELATION:
                found.append(Pair(first, second, exact))
    return found


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of what a blur takes away: bodies are alike, their detail is not."""
    first, second = _detail(one), _detail(other)
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float((first * second).sum()) / norm if norm else 0.0


def _detail(square: np.ndarray) -> np.ndarray:
    """(64, 64) float32 of mean 0; smaller squares as they are."""
    if len(square) > _DETAIL:
        square = cv2.resize(square, (_DETAIL, _DETAIL), interpolation=cv2.INTER_AREA)
    fine = square.astype(np.float32)
    fine -= cv2.blur(fine, (_BLUR, _BLUR))
    return np.asarray(fine - fine.mean())


def _candidates(hashes: np.ndarray, owners: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(first rows, second rows) of pairs whose hashes are near."""
    yield from _neighbours(hashes[:, 0], np.arange(len(hashes)), owners)
    rows = np.flatnonzero(hashes[:, 1:].any(axis=1))
    perceptual = np.ascontiguousarray(hashes[rows, 1:])
    for word in perceptual.view(np.uint32).T:
        for first, second in _neighbours(word, rows, owners):
            near = np.bitwise_count(hashes[first, 1:] ^ hashes[second, 1:]).sum(axis=1) <= _MOST_BITS
            yield first[near], second[near]


def _neighbours(keys: np.ndarray, rows: np.ndarray, owners: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows with equal keys. In a run of very many equal keys each row meets its next eight, which still links all."""
    if keys.dtype == np.uint32:  # with their places as lower half, which sorts in a third of the time
        packed = np.sort(keys.astype(np.uint64) << np.uint64(32) | np.arange(len(keys), dtype=np.uint64))
        ordered, order = packed >> np.uint64(32), (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
    else:
        order = np.argsort(keys)
        ordered = keys[order]
    for step in range(1, _NEIGHBOURS + 1):
        equal = np.flatnonzero(ordered[step:] == ordered[:-step])
        if not len(equal):
            return
        first, second = rows[order[equal]], rows[order[equal + step]]
        others = owners[first] != owners[second]
        yield np.minimum(first, second)[others], np.maximum(first, second)[others]
