"""Checks which of the listed images exist, before any is decoded."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import MISSING, what_is_near, why_absent
from cxrlt_cli.sources.listing import Listing
from cxrlt_cli.workspace import rows_of_shard

_BLOCK = 256
_THREADS = 16  # file systems of clusters have a high latency, but answer many requests at once


def rows_present(listing: Listing, part: tuple[int, int], allow_missing: bool) -> np.ndarray:
    """Checks the files of one shard.

    Args:
        listing: all images of the source.
        part: (i, n).
        allow_missing: whether files may be missing.

    Returns:
        (N,) bool over the rows of the listing: the row belongs to the shard and its file is there.

    Raises:
        UserError: a file is missing and that is not allowed, or all are.
    """
    own = rows_of_shard(len(listing.source.table), part)
    files = listing.source.table["file"].iloc[own]
    reasons = _reasons(listing.root, files)
    there = np.array([not reason for reason in reasons], dtype=bool)
    if listing.unlisted:
        warn(f"{listing.unlisted} image files are in no row of {listing.tables[0]}: left out")
    count, total = int(there.sum()), len(there)
    if not count and (part[1] == 1 or not allow_missing):
        raise _none_is_there(listing, files, reasons)
    if count < total and not allow_missing:
        absent = listing.source.table["image_id"].iloc[own][~there]
        raise UserError(
            f"{listing.tables[0]} lists {total} images, {total - count} of them are not under {listing.root}: {listed(absent)}"
            f"{_counted(reasons)}; {_first_absent(listing.root, files, reasons)}",
            f"--allow-missing caches the other {count}",
        )
    if count < total:
        warn(f"{total - count} of {total} images are left out{_counted(reasons) or ', as they are not there'}")
    present = np.zeros(len(listing.source.table), dtype=bool)
    present[own] = there
    return present


_NO_FILE = "the table names no file"


def _reasons(root: Path, files: pd.Series) -> list[str]:
    """The reason why each file cannot be read; empty if it exists."""
    reasons = [""] * len(files)

    def look(start: int) -> None:  # in chunks: a million tasks would need more memory than the names
        for place, file in enumerate(files.iloc[start : start + _BLOCK], start):
            reasons[place] = why_absent(root / file) if isinstance(file, str) else _NO_FILE

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(look, range(0, len(files), _BLOCK)))
    return reasons


def _counted(reasons: list[str]) -> str:
    """Number of files per reason, except for missing files."""
    counts = Counter(reason for reason in reasons if reason not in ("", MISSING))
    return f" ({', '.join(f'{count}: {reason}' for reason, count in counts.most_common(3))})" if counts else ""


def _first_absent(root: Path, files: pd.Series, reasons: list[str]) -> str:
    """The first missing file, and the content of its folder."""
    place = next((place for place, reason in enumerate(reasons) if reason and reason != _NO_FILE), None)
    if place is None:
        return _NO_FILE
    path = root / files.iloc[place]
    return f"the first would be {path}: {what_is_near(path) if reasons[place] == MISSING else reasons[place]}"


def _none_is_there(listing: Listing, files: pd.Series, reasons: list[str]) -> UserError:
    options = (
        "--images, the folder that the paths are relative to, and --path-column"
        if listing.source.kind == "table"
        else ("the folder in --source")
    )
    return UserError(
        f"none of the {len(files)} images that {listing.tables[0]} lists is under {listing.root}{_counted(reasons)}; "
        + _first_absent(listing.root, files, reasons),
        f"see {options}",
    )
