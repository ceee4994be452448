"""The one place where a CSV is read: strictly. A row that is damaged is an error that names it; none is lost in silence."""

import csv
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from cxrlt_cli.errors import UserError, listed, reason
from cxrlt_cli.paths import refuse_no_file

_LONGEST = 1 << 24  # characters of a line
_HINT = "see whether it was downloaded whole, is text in UTF-8 and separated by commas"
_QUOTE = "a quote is opened and not closed, or stands alone: take it out, or write it twice"


class CsvRow(NamedTuple):
    """A row of a CSV: its cells, its number (the header is 1), and the line on which it begins."""

    cells: list[str]
    number: int
    line: int

    @property
    def place(self) -> str:
        """How the row is named in messages."""
        return f"row {self.number}" + (f" (line {self.line})" if self.line != self.number else "")


def csv_rows(path: Path, hint: str = _HINT) -> Iterator[CsvRow]:
    """The header and the rows of a CSV in UTF-8, plain or .gz; nothing for an empty file. Blank lines are skipped.

    Args:
        path: the file.
        hint: what it should be.

    Yields:
        The header, whose names differ, then rows of as many cells.

    Raises:
        UserError: not there, not readable, not UTF-8, two columns of one name; and, with its row: other than as many cells as
            the header has, a quote that is not closed, that other text follows or that takes in whole rows, a cell of more
            than 131,072 characters, a line of more than 16 million, a NUL.
    """
    refuse_no_file(path, hint)
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield from _rows(path, file)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} cannot be read: it is not text in UTF-8: {reason(error)}", hint) from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read: {reason(error)}", hint) from error


def _rows(path: Path, file: TextIO) -> Iterator[CsvRow]:
    taken: list[str] = []  # the lines of the row that is read
    reader = csv.reader(_lines(path, file, taken), strict=True)
    width = number = 0
    while True:
        begins = reader.line_num + 1
        taken.clear()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise UserError(f"{path}, {CsvRow([], number + 1, begins).place}: {_said(error)}", _QUOTE) from error
        if cells is None:
            return
        number += 1
        row = CsvRow(cells, number, begins)
        if len(taken) > 1:
            _refuse_rows_in_a_cell(path, row, taken, width or len(cells))
        if not cells:
            continue
        if not width:
            _refuse_same_names(path, cells)
            width = len(cells)
        elif len(cells) != width:
            text = f"{len(cells)} cells where the header has {width}"
            raise UserError(f"{path}, {row.place}: {text}", "see whether it was cut off, or a cell with commas lacks quotes")
        yield row


def _lines(path: Path, file: TextIO, taken: list[str]) -> Iterator[str]:
    number = 0
    while line := file.readline(_LONGEST + 1):
        number += 1
        if len(line) > _LONGEST or "\0" in line:
            what = "a NUL character" if "\0" in line else f"more than {_LONGEST:,} characters"
            raise UserError(f"{path}, line {number}: {what}", "it is no CSV, or damaged")
        taken.append(line)
        yield line


def _said(error: csv.Error) -> str:
    text = str(error)
    if "end of data" in text:
        return "a quote that is not closed up to the end of the file"
    if "field limit" in text:
        return f"a cell of more than {csv.field_size_limit():,} characters, as a quote that is not closed makes it"
    return f"a quote in the middle of a cell ({text})"


def _refuse_rows_in_a_cell(path: Path, row: CsvRow, lines: list[str], width: int) -> None:
    """A cell may hold line breaks, but not lines that have as many commas as rows: two stray quotes would take rows out."""
    if sum(line.count(",") >= width - 1 for line in lines) > 1:
        last = row.line + len(lines) - 1
        raise UserError(f"{path}, {row.place}: a cell in quotes goes on to line {last} and takes in whole rows", _QUOTE)


def _refuse_same_names(path: Path, names: list[str]) -> None:
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise UserError(f"{path} has two columns {listed(twice)}", "give each column a name of its own")
