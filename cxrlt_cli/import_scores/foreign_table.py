"""Tables of other tools: CSV, Parquet, or the arrays of an npz file as columns."""

from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.parsing import damage_reported
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_file, kind_of
from cxrlt_cli.sources.listing import read_text_table, refuse_blank, require

#: Value of `--id-column` that uses the row number as id, for scores and labels in the same rows of one file.
ROW_NUMBER = "#"
_KINDS = {"b", "i", "u", "f", "U", "S"}  # of arrays: numbers and text


def read_foreign_table(path: Path) -> pd.DataFrame:
    """Reads a CSV (also .gz), a Parquet or an npz file; of an npz file see `_columns`. A CSV is text.

    Raises:
        UserError: not there, damaged, without rows, or an npz file with Python objects, which are never loaded.
    """
    if not is_file(path):
        what = f"is {kind_of(path)}" if kind_of(path) else "is not there"
        raise UserError(f"{path} {what}", "name a CSV (also .gz), a Parquet or an npz file")
    table = _read_npz(path) if path.suffix == ".npz" else read_text_table(path)
    return table.reset_index() if table.index.name is not None else table  # pandas writes ids so, if they are the index


def require_id(table: pd.DataFrame, id_column: str, path: Path, flag: str) -> None:
    """Raises UserError where a table has no such id column, or blanks in it; columns that look like one are suggested."""
    likely = [str(name) for name in table.columns if _looks_like_id(table[name])] if id_column not in table else []
    suggested = f'{flag} "{likely[0]}"; ' if likely else ""
    require(table, [id_column], path, f"name the column of the image id: {suggested}there are {listed(table.columns, 40)}")
    refuse_blank(table[id_column], path)


def _looks_like_id(column: pd.Series) -> bool:
    return bool(column.is_unique) and not pd.to_numeric(column.astype(str), errors="coerce").notna().all()


def _read_npz(path: Path) -> pd.DataFrame:
    hint = "see whether it was downloaded whole, and written by numpy.savez"
    with damage_reported(path, hint), np.load(path, allow_pickle=False) as file:
        if not hasattr(file, "files"):
            raise UserError(f"{path} is a single array, not an npz file", "numpy.savez writes several, with names")
        arrays = {}
        for name in file.files:
            try:
                arrays[name] = file[name]
            except ValueError as error:
                if "pickle" not in str(error):
                    raise
                raise UserError(
                    f"{path}: the array {name!r} holds Python objects (a pickle), which can run code: not read",
                    "save it as numbers or text: numpy.savez(FILE, NAME=array.astype(str))",
                ) from error
    return _columns(arrays, path)


def _columns(arrays: dict[str, np.ndarray], path: Path) -> pd.DataFrame:
    """Arrays as columns. A table has as many rows as the first array of two axes, or as the first of one.

    An array of one axis and that length is a column of its name. An array of two axes gives a column per class: `ARRAY:CLASS`
    where a text array has as many items as it has columns, else `ARRAY:0`, `ARRAY:1`, ….
    """
    usable = {name: values for name, values in arrays.items() if values.dtype.kind in _KINDS and values.ndim in (1, 2)}
    rows = next((len(values) for axes in (2, 1) for values in usable.values() if values.ndim == axes), 0)
    names = [_text(values) for values in usable.values() if values.ndim == 1 and values.dtype.kind in "US"]
    columns: dict[str, np.ndarray] = {}
    for name, values in usable.items():
        if len(values) != rows:
            continue
        if values.ndim == 1:
            columns[name] = _text(values) if values.dtype.kind in "US" else values
            continue
        classes = next((list(one) for one in names if len(one) == values.shape[1]), [str(i) for i in range(values.shape[1])])
        columns |= {f"{name}:{label}": values[:, index] for index, label in enumerate(classes)}
    if not rows or not columns:
        there = listed(map(_described, arrays.items()), 20)
        raise UserError(f"{path} has no rows of numbers or text", f"its arrays are: {there or 'none'}")
    return pd.DataFrame(columns)


def _text(values: np.ndarray) -> np.ndarray:
    return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values


def _described(item: tuple[str, np.ndarray]) -> str:
    return f"{item[0]} {item[1].shape} {item[1].dtype}"
