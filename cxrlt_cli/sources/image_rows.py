"""From the rows of a user's table to images: repeated rows, and files named without their suffix."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.console import say
from cxrlt_cli.paths import IMAGE_SUFFIXES, exists
from cxrlt_cli.sources.listing import refuse_duplicates


def first_rows(table: pd.DataFrame, image: str, columns: Iterable[str], path: Path) -> np.ndarray:
    """The first row of each image, where its other rows say the same, as in tables with a row for each box.

    Args:
        table: the table.
        image: the column of the image id.
        columns: those that are used; others may differ.
        path: the table's file, for messages.

    Returns:
        (N,) bool; how many rows are passed over is printed.

    Raises:
        UserError: rows of one image differ in a column that is used.
    """
    keep = np.ones(len(table), dtype=bool)
    several = table[image].duplicated(keep=False).to_numpy()
    if not several.any():
        return keep
    rows = table.loc[several, list(dict.fromkeys([image, *columns]))].astype(str)
    repeated = rows.duplicated()
    refuse_duplicates(rows.loc[~repeated, image], path)
    keep[several] = ~repeated
    say(f"{path}: {int(repeated.sum())} rows say the same as another row of their image, and are passed over")
    return keep


def with_suffix(files: pd.Series, root: Path, path: Path) -> pd.Series:
    """File names as they are on disk: some tables name images by their ids, without the suffix of the files.

    Args:
        files: paths from `root`; null where there is none.
        root: the folder of the images.
        path: the table, for the line that says so.

    Returns:
        The names, each with the suffix of the first one's file where none has a suffix and that file is not there without.
    """
    names = files.dropna()
    if names.empty or names.str.lower().str.endswith(IMAGE_SUFFIXES).any() or exists(root / names.iloc[0]):
        return files
    suffix = next((end for end in IMAGE_SUFFIXES if exists(root / f"{names.iloc[0]}{end}")), "")
    if suffix:
        say(f"{path} names files without a suffix: {suffix} is added, as in {names.iloc[0]}{suffix}")
    return files + suffix
