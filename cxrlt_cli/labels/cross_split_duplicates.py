"""Duplicate images in two splits: refused, dropped or kept."""

from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.image_pixels import ImageReader
from cxrlt_cli.console import say, warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.labels.near_duplicates import Pair, same_pictures

_SHOWN = 20


def without_same_pictures(rows: pd.DataFrame, hashes: np.ndarray, split: np.ndarray, folder: Path, policy: str) -> np.ndarray:
    """Finds images that two patients have.

    Args:
        rows: image_id, patient_id, cache and row of each image.
        hashes: (N, 5) uint64 of their pixels.
        split: (N,) split of each image, or its fold: a number a place.
        folder: that the paths in `cache` are relative to.
        policy: `refuse`, `first` (drop the later ones) or `keep`.

    Returns:
        (N,) bool: the rows to keep.

    Raises:
        UserError: an image is in two splits and the policy is `refuse`; the pairs are listed.
    """
    keep = np.ones(len(rows), dtype=bool)
    pairs = same_pictures(hashes, pd.factorize(rows["patient_id"])[0], _Pictures(rows, folder))
    if not pairs:
        return keep
    names = rows["image_id"].to_numpy()
    torn = [pair for pair in pairs if split[pair.first] != split[pair.second]]
    if policy == "first":
        keep[[pair.second for pair in pairs]] = False
        warn(f"{int((~keep).sum())} images are duplicates of another patient's image: left out: {_listed_pairs(pairs, names)}")
    elif policy == "refuse" and torn:
        raise UserError(
            f"{len(torn)} images are in two splits or folds, under two patients: {_listed_pairs(torn, names)}",
            "give both the same patient, or leave out copies: --same-picture first (keep takes both, and the test leaks)",
        )
    elif torn:
        warn(f"{len(torn)} images are in two splits or folds (--same-picture keep): {_listed_pairs(torn, names)}")
    else:
        say(f"{len(pairs)} images are under two patients, in the same split: {_listed_pairs(pairs, names)}")
    return keep


def _listed_pairs(pairs: list[Pair], names: np.ndarray) -> str:
    changes = (f" ({p.change})" if p.change else "" for p in pairs)
    marks = ("=" if p.exact else "~" for p in pairs)
    rows = zip(pairs, marks, changes, strict=True)
    return listed((f"{names[p.first]} {mark} {names[p.second]}{change}" for p, mark, change in rows), _SHOWN)


class _Pictures:
    """Reads the pixels of dataset rows from their image files."""

    def __init__(self, rows: pd.DataFrame, folder: Path) -> None:
        self._codes, files = pd.factorize(rows["cache"])
        self._paths = [folder / str(name) for name in files]
        self._places = rows["row"].to_numpy()
        self._readers: dict[int, ImageReader] = {}

    def __call__(self, chosen: np.ndarray) -> np.ndarray:
        """(B, S, S) uint8 of (B,) rows."""
        return np.concatenate(
            [self._reader(code).read(self._places[[row]]) for row, code in zip(chosen, self._codes[chosen], strict=True)]
        )

    def _reader(self, code: int) -> ImageReader:
        if code not in self._readers:
            self._readers[code] = ImageReader(self._paths[code])
        return self._readers[code]
