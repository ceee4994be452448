"""The images and labels that a source lists, and the reading of its tables."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.csv_rows import csv_rows
from cxrlt_cli.artifacts.source_table import BLANK, COLUMNS, SourceTable
from cxrlt_cli.errors import UserError, listed, reason
from cxrlt_cli.paths import contents, is_file, is_folder

#: Name of an official split -> name in the dataset.
_SPLITS = {
    "train": "train", "val": "val", "valid": "val", "validate": "val", "validation": "val", "dev": "val", "development": "val",
    "test": "test",
}  # fmt: skip
_BLOCK = 10_000  # rows


@dataclass(frozen=True)
class Listing:
    """The images of a source.

    Attributes:
        source: the rows of its table; `file` is the expected path of an image relative to `root`, whether or not it exists;
            null only if the reader knows that there is none.
        root: the folder of the images.
        tables: files that were read.
        unlisted: number of image files in the folder that no table names.
    """

    source: SourceTable
    root: Path
    tables: list[Path]
    unlisted: int = 0


def require_folder(folder: Path) -> None:
    """Raises UserError if a folder does not exist."""
    if not is_folder(folder):
        raise UserError(f"{folder} is not a folder", "--source KIND=PATH names the folder of the source")


def label_tables(folder: Path, labels: Path | None, names: Iterable[str]) -> list[Path]:
    """The label tables of a source: the file `labels`, or the tables with given names (.csv or .csv.gz) in a folder.

    Args:
        folder: of the tables if `labels` is None.
        labels: the table itself, or another folder.
        names: without suffix.

    Raises:
        UserError: there is none, or one is there both plain and zipped.
    """
    if labels is not None and not is_folder(labels):
        return [labels]
    holder = labels or folder
    names = list(names)
    found = [[path for path in (holder / f"{name}.csv", holder / f"{name}.csv.gz") if is_file(path)] for name in names]
    twice = next((paths for paths in found if len(paths) > 1), None)
    if twice:
        raise UserError(f"{holder} has both {twice[0].name} and {twice[1].name}", "name the one to read: --labels FILE")
    if not any(found):
        raise UserError(
            f"{holder} has no label table ({', '.join(names)}: .csv or .csv.gz): it {contents(holder)}",
            "name it: --labels FILE or FOLDER",
        )
    return [path for paths in found for path in paths]


def only_table(folder: Path, labels: Path | None, pattern: str, but: str = "-") -> Path:
    """The only label table of a source: the file `labels`, or the only .csv or .csv.gz in a folder that matches.

    Args:
        folder: of the table if `labels` is None.
        labels: the table itself, or another folder.
        pattern: glob of its name without suffix.
        but: prefix of the names of other tables.

    Raises:
        UserError: none matches, or several.
    """
    if labels is not None and not is_folder(labels):
        return labels
    holder = labels or folder
    fitting = [path for end in (".csv", ".csv.gz") for path in holder.glob(pattern + end)]
    found = sorted(path for path in fitting if not path.name.startswith(but))
    if len(found) != 1:
        what = f"has {listed(path.name for path in found)}" if found else f"has no label table ({pattern}.csv or .csv.gz)"
        what += "" if found else f": it {contents(holder)}"
        raise UserError(f"{holder} {what}", "name the label table: --labels FILE")
    return found[0]


def read_text_table(path: Path) -> pd.DataFrame:
    """Reads a CSV (plain or .gz) or a Parquet file as text, without guessing types: the reader of the source interprets values.

    Raises:
        UserError: not there, not readable, without rows, two columns of one name, or a damaged row (`artifacts.csv_rows`).
    """
    if not is_file(path):
        raise UserError(f"{path} is not there", "name the label table: --labels FILE, or --source table=FILE")
    try:
        table = _read_parquet(path) if path.suffix in (".parquet", ".pq") else _read_csv(path)
    except (OSError, ValueError, EOFError) as error:  # pandas' and pyarrow's own errors are ValueErrors
        raise UserError(f"{path} cannot be read as a table: {reason(error)}", "see whether it was downloaded whole") from error
    if table.empty:
        raise UserError(f"{path} has no rows", "see whether it was downloaded whole")
    return table


def _read_parquet(path: Path) -> pd.DataFrame:
    """A Parquet table; cells that hold lists or structs become text, as Python writes them."""
    table = pd.read_parquet(path)
    if not all(isinstance(name, str) for name in table.columns):
        raise ValueError(f"it has columns without a plain name: {listed(table.columns)}")
    for name in table.columns:
        if table[name].dtype == object and isinstance(next(iter(table[name].dropna()), None), list | np.ndarray | dict):
            table[name] = table[name].map(_as_text)
    return table


def _as_text(cell: Any) -> Any:
    if isinstance(cell, list | np.ndarray):
        return str([str(item) for item in cell])
    return str(cell) if isinstance(cell, dict) else cell


def _read_csv(path: Path) -> pd.DataFrame:
    """A CSV as text, empty cells null; columns without a name get the name that pandas gives."""
    rows = csv_rows(path)
    header = next(rows, None)
    names = [name or f"Unnamed: {index}" for index, name in enumerate(header.cells if header else [])]
    columns: list[list[str]] = [[] for _ in names]
    while block := [row.cells for row in islice(rows, _BLOCK)]:
        for column, values in zip(columns, zip(*block, strict=True), strict=True):
            column.extend(map(sys.intern, values))  # label tables have few distinct values
    texts = [pd.Series([value or None for value in column], dtype=str) for column in columns]
    return pd.DataFrame(dict(zip(names, texts, strict=True)))


def require(table: pd.DataFrame, names: Iterable[str], path: Path, hint: str = "") -> None:
    """Raises UserError if a table lacks columns."""
    absent = [name for name in names if name not in table.columns]
    if absent:
        raise UserError(f"{path} has no column {listed(absent)}", hint or f"its columns are: {listed(table.columns, 40)}")


def label_columns(table: pd.DataFrame, others: Iterable[str], path: Path, hint: str) -> list[str]:
    """The columns that are not in `others`, in their order, without unnamed ones (an index).

    Raises:
        UserError: there is none.
    """
    known = set(others)
    found = [str(name) for name in table.columns if name not in known and not str(name).startswith("Unnamed: ")]
    if not found:
        raise UserError(f"{path} has no label columns, only {listed(table.columns, 40)}", hint)
    return found


def labels_of(table: pd.DataFrame, classes: list[str], path: Path, words: Mapping[str, str] | None = None) -> np.ndarray:
    """(N, C) int8 of label columns: 1, 0, -1 (uncertain) and BLANK, written as integers or as 1.0.

    Args:
        table: with one column per class.
        classes: its label columns.
        path: file of the table, for messages.
        words: other values: the word in lower case -> 1, 0, -1, or empty for BLANK.

    Raises:
        UserError: any other value; column, row and value are named.
    """
    labels = np.empty((len(table), len(classes)), dtype=np.int8)
    for column, name in enumerate(classes):
        codes, distinct = pd.factorize(table[name], use_na_sentinel=False)  # few distinct values, however long the table
        values = pd.Series(distinct)
        texts = values.astype(str).str.strip()
        texts = texts.str.casefold().map(words).fillna(texts) if words else texts
        blank = values.isna().to_numpy() | (texts == "").to_numpy()
        numbers = pd.to_numeric(texts.where(~blank), errors="coerce").to_numpy(dtype=float)
        wrong = ~blank & ~np.isin(numbers, (-1.0, 0.0, 1.0))
        if wrong.any():
            row = int(np.flatnonzero(wrong[codes])[0])
            value = table[name].iloc[row]
            hint = "labels are 1, 0, -1 or blank"
            if words is not None:
                hint += f"; --values maps words to labels, as in {','.join(f'{word}=…' for word in texts[wrong][:5])}"
            raise UserError(f"{path}, column {name!r}, row {row + 1}: {value!r} is not a label", hint)
        labels[:, column] = np.where(blank, BLANK, np.nan_to_num(numbers)).astype(np.int8)[codes]
    return labels


def source_table(kind: str, columns: Mapping[str, object], classes: list[str], labels: np.ndarray) -> SourceTable:
    """The table of a source from the columns of its reader; absent columns are null."""
    table = pd.DataFrame(columns)
    for name in COLUMNS:
        if name not in table:
            table[name] = None
    return SourceTable(kind, table[COLUMNS], classes, labels)


def joined(parts: Sequence[SourceTable], paths: Sequence[Path]) -> SourceTable:
    """The rows of several tables of one source, with labels joined by name.

    Args:
        parts: one or more.
        paths: the file of each.

    Raises:
        UserError: an image twice, or different labels.
    """
    classes = parts[0].classes
    for part, path in zip(parts, paths, strict=True):
        refuse_duplicates(part.table["image_id"], path)
        if set(part.classes) != set(classes):
            apart = sorted(set(part.classes) ^ set(classes))
            raise UserError(f"only one of {paths[0]} and {path} has {listed(apart)}", "read one of them: --labels FILE")
    table = pd.concat([part.table for part in parts], ignore_index=True)
    refuse_duplicates(table["image_id"], Path(" + ".join(map(str, paths))))
    labels = np.concatenate([part.labels[:, [part.classes.index(name) for name in classes]] for part in parts])
    return SourceTable(parts[0].kind, table, classes, labels)


def optional(table: pd.DataFrame, name: str) -> pd.Series:
    """A column; all null if the table lacks it."""
    return table[name] if name in table else pd.Series(None, index=table.index, dtype=str)


def usual_path(table: pd.DataFrame) -> str:
    """The default column of the file: `path`, or `fpath` as in CXR-LT 2024; empty if there is neither."""
    return next((name for name in ("path", "fpath") if name in table), "")


def splits_of(column: pd.Series, path: Path) -> pd.Series:
    """Official splits as train, val, test; blank is null.

    Raises:
        UserError: an unknown name of a split.
    """
    names = column.astype(str).str.strip().str.lower().where(column.notna())
    strange = sorted(set(names.dropna()) - set(_SPLITS))
    if strange:
        raise UserError(f"{path}, column {column.name!r}: {listed(strange)} is not a split", "splits are train, val and test")
    return names.map(_SPLITS)


def refuse_duplicates(ids: pd.Series, path: Path) -> None:
    """Raises UserError if an image id is in a table more than once."""
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        raise UserError(f"{path} lists {len(twice)} images more than once: {listed(twice)}", "an image has one row")


def refuse_blank(column: pd.Series, path: Path) -> None:
    """Raises UserError if a column of image or patient ids has empty cells."""
    blank = column.isna() | (column.astype(str).str.strip() == "")
    if blank.any():
        row = int(np.flatnonzero(blank)[0]) + 1
        raise UserError(f"{path}: column {column.name!r} is empty in {int(blank.sum())} rows (the first: row {row})", "fill it")
