"""Images from the rows of a user's table: repeated rows, and file names without suffix."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.console import say
from cxrlt_cli.paths import IMAGE_SUFFIXES, exists
from cxrlt_cli.sources.listing import refuse_duplicates


def first_rows(table: pd.DataFrame, image: str, columns: Iterable[str], path: Path) -> np.ndarray:
    """The first row of each image; its other rows must be equal, as in tables with one row per box.

    Args:
        table: the table.
        image: the column of the image id.
        columns: columns that are read; others may differ.
        path: file of the table, for messages.

    Returns:
        (N,) bool; the number of skipped rows is printed.

    Raises:
        UserError: rows of one image differ in a column that is read.
    """
    keep = np.ones(len(table), dtype=bool)
    several = table[image].duplicated(keep=False).to_numpy()
    if not several.any():
        return keep
    rows = table.loc[several, list(dict.fromkeys([image, *columns]))].astype(str)
    repeated = rows.duplicated()
    refuse_duplicates(rows.loc[~repeated, image], path)
    keep[several] = ~repeated
    say(f"{path}: {int(repeated.sum())} rows repeat another row of their image and are skipped")
    return keep


def with_suffix(files: pd.Series, root: Path, path: Path) -> pd.Series:
    """File names as on disk: some tables give image ids without the suffix of the files.

    Args:
        files: paths relative to `root`, or null.
        root: the folder of the images.
        path: the table, for the message.

    Returns:
        The names; if none has a suffix and the first file does not exist, each with the suffix of the first image's file.
    """
    names = files.dropna()
    if names.empty or names.str.lower().str.endswith(IMAGE_SUFFIXES).any() or exists(root / names.iloc[0]):
        return files
    suffix = next((end for end in IMAGE_SUFFIXES if exists(root / f"{names.iloc[0]}{end}")), "")
    if suffix:
        say(f"{path} names files without a suffix: {suffix} is added, as in {names.iloc[0]}{suffix}")
    return files + suffix
