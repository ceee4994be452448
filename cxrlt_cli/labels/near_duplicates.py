"""Near-duplicate images under two names: leakage if one is in training and one in the test.

It finds copies with equal pixels, re-encoded or resized copies, and mirrored or inverted ones. It does not find cropped, framed
or rotated copies, nor inverted copies of padded images, whose bars stay black. After a crop of 2 % or a rotation of 1 degree,
the hashes of half of the copies have no word in common with the original, and the detail of many correlates less with the
original (from 0.60) than that of two patients can (0.71); a frame of 3 % leaves no correlation. Measured on 110 radiographs of
ChestX-ray14 of 1,024 px, at 512 px: 110 mirrored and 109 inverted copies are found; no false pair among them, among 1,000
others of ChestX-ray14, or among 38 of other sources.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from cxrlt_cli.artifacts.hash_waves import MIRRORED_BITS

#: Minimum correlation of the fine detail of two copies. Radiographs of different patients stay below 0.71 (measured on
#: ChestX-ray14), synthetic ones of one anatomy below 0.95; copies at half the size and JPEG quality 60 are above 0.97.
LEAST_CORRELATION = 0.96

_DETAIL = 64  # px
_BLUR = 5  # px of these
_MOST_BITS = 16  # of 256 bits; different radiographs differ in more than 40, copies in at most 10 (measured on the same images)
_NEIGHBOURS = 8
_VOTES = 31  # waves that decide the orientation of an image
_BLOCK = 256

#: (rows) -> (B, S, S) uint8
Read = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Pair:
    """Two rows with the same image.

    Attributes:
        first: row of the first.
        second: row of the second.
        exact: whether all pixels are equal.
        change: `mirrored`, `inverted`, `mirrored and inverted`, or empty.
    """

    first: int
    second: int
    exact: bool
    change: str = ""


def same_pictures(hashes: np.ndarray, owners: np.ndarray, read: Read) -> list[Pair]:
    """Finds images that two owners have.

    Candidates have equal content hashes, or perceptual hashes that agree in one of their eight words of 32 bits and differ in
    at most 16 of 256 bits: this includes every pair with up to 7 different bits, and most with up to 16. The same search with
    hashes in a canonical orientation finds mirrored and inverted copies. The pixels decide about each candidate.

    Args:
        hashes: (N, 5) uint64 of `preprocess.image_hashes`; a perceptual hash of zeros is missing.
        owners: (N,) patient numbers; copies within one patient do not count.
        read: reads the pixels of rows.

    Returns:
        The pairs, first < second, sorted.
    """
    found = {(p.first, p.second): p for p in _decided(_candidates(hashes, owners), read)}
    for pair in _decided(_turned_candidates(hashes, owners), read):
        found.setdefault((pair.first, pair.second), pair)
    return [found[key] for key in sorted(found)]


#: (first rows, second rows, index in `_CHANGES` that maps the second image to the first).
_Candidates = Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]
_CHANGES = ("", "mirrored", "inverted", "mirrored and inverted")


def _decided(candidates: _Candidates, read: Read) -> Iterator[Pair]:
    """The candidates with the same image."""
    rows = [np.stack(sides, axis=1) for sides in candidates]
    ordered = np.unique(np.concatenate(rows), axis=0) if rows else np.empty((0, 3), dtype=np.int64)
    for start in range(0, len(ordered), _BLOCK):
        block = ordered[start : start + _BLOCK]
        for (first, second, change), one, other in zip(block.tolist(), read(block[:, 0]), read(block[:, 1]), strict=True):
            exact = not change and bool((one == other).all())
            if exact or _correlation(one, _changed(other, change)) >= LEAST_CORRELATION:
                yield Pair(first, second, exact, _CHANGES[change])


def _changed(square: np.ndarray, change: int) -> np.ndarray:
    """An image mirrored (1), inverted (2), or both (3)."""
    mirrored = np.ascontiguousarray(square[:, ::-1]) if change & 1 else square
    return 255 - mirrored if change & 2 else mirrored


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of the high frequencies: those that a blur removes, since the low ones are similar in all patients."""
    first, second = _detail(one), _detail(other)
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float((first * second).sum()) / norm if norm else 0.0


def _detail(square: np.ndarray) -> np.ndarray:
    """(64, 64) float32 with mean 0; smaller squares are not resized."""
    if len(square) > _DETAIL:
        square = cv2.resize(square, (_DETAIL, _DETAIL), interpolation=cv2.INTER_AREA)
    fine = square.astype(np.float32)
    fine -= cv2.blur(fine, (_BLUR, _BLUR))
    return np.asarray(fine - fine.mean())


def _candidates(hashes: np.ndarray, owners: np.ndarray) -> _Candidates:
    """Pairs with similar hashes."""
    for first, second in _neighbours(hashes[:, 0], np.arange(len(hashes)), owners):
        yield first, second, np.zeros_like(first)
    rows = np.flatnonzero(hashes[:, 1:].any(axis=1))
    for first, second in _near(np.ascontiguousarray(hashes[rows, 1:]), rows, owners):
        yield first, second, np.zeros_like(first)


def _turned_candidates(hashes: np.ndarray, owners: np.ndarray) -> _Candidates:
    """Pairs of a mirrored or inverted image, whose hashes are similar in a canonical orientation.

    Majorities among the lowest waves give the orientation: inversion flips all signs, mirroring those of the waves that are odd
    in the horizontal direction.
    """
    rows = np.flatnonzero(hashes[:, 1:].any(axis=1))
    bits = np.unpackbits(np.ascontiguousarray(hashes[rows, 1:]).view(np.uint8), axis=1, bitorder="little").astype(bool)
    inverted = bits[:, np.flatnonzero(~MIRRORED_BITS)[:_VOTES]].sum(axis=1) > _VOTES // 2
    bits ^= inverted[:, None]
    mirrored = bits[:, np.flatnonzero(MIRRORED_BITS)[:_VOTES]].sum(axis=1) > _VOTES // 2
    bits ^= mirrored[:, None] & MIRRORED_BITS
    side = np.zeros(len(hashes), dtype=np.int64)
    side[rows] = mirrored + 2 * inverted
    for first, second in _near(np.packbits(bits, axis=1, bitorder="little").view(np.uint64), rows, owners):
        change = side[first] ^ side[second]
        turned = change > 0  # other pairs are found without reorientation
        yield first[turned], second[turned], change[turned]


def _near(words: np.ndarray, rows: np.ndarray, owners: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(first rows, second rows) of pairs of (n, 4) uint64 hashes that differ in few bits; `rows` are the row numbers."""
    place = np.zeros(int(rows.max(initial=-1)) + 1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    for word in words.view(np.uint32).T:
        for first, second in _neighbours(word, rows, owners):
            near = np.bitwise_count(words[place[first]] ^ words[place[second]]).sum(axis=1) <= _MOST_BITS
            yield first[near], second[near]


def _neighbours(keys: np.ndarray, rows: np.ndarray, owners: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows with equal keys. Of very many equal keys each row is paired with the next eight, which links all."""
    if keys.dtype == np.uint32:  # with the positions as lower half: sorts three times as fast
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
