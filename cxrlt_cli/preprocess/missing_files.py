"""Which of the listed images are there: one look at the file system for each, before any is decoded."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.sources.listing import Listing

_BLOCK = 256
_THREADS = 16  # the file systems of clusters answer slowly, but many at once


def rows_of_part(total: int, part: tuple[int, int]) -> slice:
    """The rows of shard i of n: consecutive, so that the shards in their order are the whole."""
    index, count = part
    return slice(total * index // count, total * (index + 1) // count)


def rows_present(listing: Listing, part: tuple[int, int], allow_missing: bool) -> np.ndarray:
    """Looks for the files of one shard.

    Args:
        listing: all images of the source.
        part: (i, n).
        allow_missing: files that are not there are meant to be.

    Returns:
        (N,) bool over the rows of the listing: the row belongs to the shard and its file is there.

    Raises:
        UserError: a file is missing and that is not allowed, or all are.
    """
    own, root = rows_of_part(len(listing.source.table), part), listing.root
    files = listing.source.table["file"].iloc[own]
    there = np.zeros(len(files), dtype=bool)

    def look(start: int) -> None:  # many at once: a task for each of a million files would weigh more than their names
        for place, file in enumerate(files.iloc[start : start + _BLOCK], start):
            there[place] = isinstance(file, str) and (root / file).exists()

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(look, range(0, len(files), _BLOCK)))
    if listing.unlisted:
        warn(f"{listing.unlisted} image files are named by no row of {listing.tables[0]}: left out")
    count, total = int(there.sum()), len(there)
    if not count and (part[1] == 1 or not allow_missing):
        raise UserError(
            f"none of the {total} images that {listing.tables[0]} lists is under {listing.root}", "see --source, --images"
        )
    if count < total and not allow_missing:
        absent = listing.source.table["image_id"].iloc[own][~there]
        raise UserError(
            f"{listing.tables[0]} lists {total} images, {total - count} of them are not under {listing.root}: {listed(absent)}",
            f"--allow-missing caches the {count} that are there",
        )
    present = np.zeros(len(listing.source.table), dtype=bool)
    present[own] = there
    return present
