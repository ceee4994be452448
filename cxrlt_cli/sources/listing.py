"""What a source says before any pixel is read, and the reading of its tables."""

import csv
import gzip
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.source_table import BLANK, COLUMNS, SourceTable
from cxrlt_cli.errors import UserError, listed, reason


@dataclass(frozen=True)
class Listing:
    """The images of a source.

    Attributes:
        source: the rows of its table; `file` is the path from `root`.
        root: the folder of the images.
        tables: the files that it was read from.
        unlisted: image files in the folder that no table names.
    """

    source: SourceTable
    root: Path
    tables: list[Path]
    unlisted: int = 0


def require_folder(folder: Path) -> None:
    """Raises UserError where a folder is not there."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder", "--source KIND=PATH names where the source lies")


def read_text_table(path: Path) -> pd.DataFrame:
    """Reads a CSV (plain or .gz) or a Parquet file as text: values mean what the source's reader says, not what they look like.

    Raises:
        UserError: not there, not readable, without rows, or two columns of one name.
    """
    if not path.is_file():
        raise UserError(f"{path} is not there", "name the label table: --labels FILE, or --source table=FILE")
    try:
        table = pd.read_parquet(path) if path.suffix in (".parquet", ".pq") else _read_csv(path)
    except (OSError, ValueError, EOFError) as error:  # pandas' and pyarrow's own errors are ValueErrors
        raise UserError(f"{path} cannot be read as a table: {reason(error)}", "see whether it was downloaded whole") from error
    if table.empty:
        raise UserError(f"{path} has no rows", "see whether it was downloaded whole")
    return table


def _read_csv(path: Path) -> pd.DataFrame:
    """Reads a CSV strictly: a row longer than the header, or a name that stands in it twice, is an error, not a guess."""
    header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, encoding="utf-8-sig").iloc[0]
    twice = sorted(set(header[header.duplicated() & (header != "")]))
    if twice:
        raise UserError(f"{path} has two columns {listed(twice)}", "give each column a name of its own")
    _refuse_short_rows(path, len(header))
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8-sig", index_col=False)
        except pd.errors.ParserWarning as error:
            raise UserError(
                f"{path} has rows with more cells than its header", "see whether it is separated by commas"
            ) from error


def _refuse_short_rows(path: Path, width: int) -> None:
    """A row with fewer cells than the header was cut: what it lacks must not pass for blank."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if 0 < len(row) < width:
                raise UserError(
                    f"{path}, row {number}: {len(row)} cells where the header has {width}", "see whether it was cut off"
                )


def require(table: pd.DataFrame, names: Iterable[str], path: Path, hint: str = "") -> None:
    """Raises UserError where a table lacks columns."""
    absent = [name for name in names if name not in table.columns]
    if absent:
        there = ", ".join(map(str, table.columns))
        raise UserError(f"{path} has no column {listed(absent)}", hint or f"its columns are: {there}")


def labels_of(table: pd.DataFrame, classes: list[str], path: Path) -> np.ndarray:
    """(N, C) int8 of label columns: 1, 0, -1 (uncertain) and BLANK, written as integers or as 1.0.

    Raises:
        UserError: any other value; column, row and value are named.
    """
    labels = np.empty((len(table), len(classes)), dtype=np.int8)
    for column, name in enumerate(classes):
        blank = table[name].isna().to_numpy() | (table[name].astype(str).str.strip() == "").to_numpy()
        numbers = pd.to_numeric(table[name].where(~blank), errors="coerce").to_numpy(dtype=float)
        wrong = ~blank & ~np.isin(numbers, (-1.0, 0.0, 1.0))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            value = table[name].iloc[row]
            raise UserError(f"{path}, column {name!r}, row {row + 1}: {value!r} is not a label", "labels are 1, 0, -1 or blank")
        labels[:, column] = np.where(blank, BLANK, np.nan_to_num(numbers)).astype(np.int8)
    return labels


def source_table(kind: str, columns: Mapping[str, object], classes: list[str], labels: np.ndarray) -> SourceTable:
    """A source's table from what its reader found; what it does not say is null."""
    table = pd.DataFrame(columns)
    for name in COLUMNS:
        if name not in table:
            table[name] = None
    return SourceTable(kind, table[COLUMNS], classes, labels, {})


def refuse_duplicates(ids: pd.Series, path: Path) -> None:
    """Raises UserError where an image id stands in a table more than once."""
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        raise UserError(f"{path} lists {len(twice)} images more than once: {listed(twice)}", "an image has one row")


def refuse_blank(column: pd.Series, path: Path) -> None:
    """Raises UserError where a column that names images or patients has empty cells."""
    blank = column.isna() | (column.astype(str).str.strip() == "")
    if blank.any():
        row = int(np.flatnonzero(blank)[0]) + 1
        raise UserError(f"{path}: column {column.name!r} is empty in {int(blank.sum())} rows (the first: row {row})", "fill it")
