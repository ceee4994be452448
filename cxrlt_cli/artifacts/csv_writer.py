"""The one place where a CSV is written: UTF-8, lines end with LF, numbers in full precision, a whole file or none."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from cxrlt_cli.artifacts.files import replacing


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Writes a table with a header.

    Args:
        path: the file.
        columns: names of the columns.
        rows: a cell per column. None and NaN (undefined) become empty cells; a float is written with the fewest digits that
            give the same float64 again.

    Raises:
        UserError: the file cannot be written.
    """
    with replacing(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        _write(file, columns, rows)


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """The text that `write_csv` writes."""
    text = io.StringIO(newline="")
    _write(text, columns, rows)
    return text.getvalue()


def _write(file: TextIO, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value
