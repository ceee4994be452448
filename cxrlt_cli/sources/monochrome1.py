"""Whether images show dense tissue dark (MONOCHROME1), from a column of a table."""

from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.errors import UserError

_YES = ("1", "1.0", "true", "yes", "monochrome1")
_NO = ("0", "0.0", "false", "no", "monochrome2", "")


def inverted_of(column: pd.Series, path: Path) -> np.ndarray:
    """(N,) bool: whether the gray values of an image must be inverted.

    Args:
        column: 1, true, yes or MONOCHROME1 if so; 0, false, no, MONOCHROME2 or blank if not.
        path: the table, for the message.

    Raises:
        UserError: any other value; its row is named.
    """
    values = column.fillna("").astype(str).str.strip().str.lower()
    strange = np.flatnonzero(~values.isin((*_YES, *_NO)))
    if len(strange):
        row = int(strange[0])
        raise UserError(
            f"{path}, column {column.name!r}, row {row + 1}: {column.iloc[row]!r} does not say whether an image is inverted",
            "1 or MONOCHROME1 if it shows dense tissue dark; 0, MONOCHROME2 or blank if not",
        )
    return values.isin(_YES).to_numpy(dtype=bool)
