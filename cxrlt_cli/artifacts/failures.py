"""`NAME.failed.csv`: what could not be read, and why; in the same folder as the artifact that lacks it."""

from collections.abc import Sequence
from pathlib import Path

from cxrlt_cli.artifacts.csv_rows import csv_rows
from cxrlt_cli.artifacts.csv_writer import write_csv
from cxrlt_cli.artifacts.files import remove
from cxrlt_cli.paths import exists


def write_failures(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Writes the list, or removes an earlier one where nothing failed. Raises UserError where it cannot be written."""
    if not rows:
        remove(path)
        return
    write_csv(path, header, rows)


def count_absent(path: Path) -> int:
    """How many rows of a cache's list are of files that were not there: they have no place in the image file."""
    return sum(row[1:] == ["", "missing"] for row in read_failures(path))


def read_failures(path: Path) -> list[list[str]]:
    """The rows of such a list, without its header; empty without a file. Raises UserError where it is damaged."""
    if not exists(path):
        return []
    return [row.cells for row in csv_rows(path, "make the artifact beside it again")][1:]
