"""`images/NAME.h5`: preprocessed gray images, a row file (`artifacts.row_file`) with `/images` uint8 (N, S, S).

`/hash` has five words, by which the same picture is found again: a hash of the bytes, then a perceptual hash.
"""

from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.parsing import damage_reported
from cxrlt_cli.artifacts.row_file import create_rows
from cxrlt_cli.artifacts.row_layout import Layout, RowFormat, read_row_attributes, read_rows_layout

FORMAT, VERSION = "cxrlt images", 2
HASH_WORDS = 5


def _hash_words(shape: tuple[int, ...]) -> int:
    return HASH_WORDS if len(shape) == 2 and shape[0] == shape[1] > 0 else 0


IMAGES = RowFormat(
    FORMAT,
    VERSION,
    "images",
    "pixels",
    np.dtype("|u1"),
    _hash_words,
    command="cxrlt cache",
    join="cxrlt join NAME",
    incomplete="make the dataset again: cxrlt merge --overwrite",
)


def create_images(path: Path, ids: list[str], size: int, settings: dict[str, Any], source: dict[str, Any]) -> Layout:
    """Allocates an image file of squares of `size` px. Raises UserError as `create_rows`."""
    return create_rows(path, (IMAGES, ids, (size, size)), settings, source)


def read_attributes(path: Path, prefix: str) -> dict[str, Any]:
    """The attributes that `create_images` wrote as `settings` or `source`. Raises UserError as `read_layout`."""
    return read_row_attributes(path, IMAGES, prefix)


def read_layout(path: Path) -> Layout:
    """Checks an image file, and the shards that it was joined from, and says where the bytes stand.

    Raises:
        UserError: as `read_rows_layout`, or the images have another size than its settings.
    """
    layout = read_rows_layout(path, IMAGES)
    with damage_reported(path, IMAGES.again):
        if layout.settings.get("size", layout.size) != layout.size:
            raise ValueError(f"settings.size is {layout.settings['size']}, the images have {layout.size} px")
    return layout
