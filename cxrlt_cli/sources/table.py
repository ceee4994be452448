"""Any CSV or Parquet table with a row an image: the columns are named by options."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.sources.listing import (
    Listing,
    labels_of,
    read_text_table,
    refuse_blank,
    refuse_duplicates,
    require,
    source_table,
)

#: What an official split may be called, and what we call it.
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validate": "val", "validation": "val", "dev": "val", "test": "test"}


@dataclass(frozen=True)
class TableColumns:
    """Which column of a table says what; where a name is empty, the column of our own name counts if it is there.

    Attributes:
        image: image id; unique.
        path: image file, from the images' folder; the image id where empty.
        patient: patient id.
        study: study id.
        view: view position.
        sex: sex.
        age: age in years.
        split: official split: train, val (also valid, validation, dev) or test.
        labels: the label columns; values 1, 0, -1 and blank.
    """

    image: str
    path: str
    patient: str
    study: str
    view: str
    sex: str
    age: str
    split: str
    labels: tuple[str, ...]


def read_table_source(file: Path, images: Path | None, columns: TableColumns) -> Listing:
    """Lists the images of a table.

    Args:
        file: CSV (also .gz) or Parquet.
        images: the folder from which the paths count; the table's own where None.
        columns: which column says what.

    Raises:
        UserError: no such file, column or folder, an image twice, an empty id, a label that is none, an unknown split.
    """
    table = read_text_table(file)
    if not columns.labels:
        raise UserError(f"{file}: which columns are labels?", f"name them: --label-columns {_label_like(table)}")
    if len(set(columns.labels)) < len(columns.labels):
        raise UserError(f"--label-columns names a column twice: {listed(columns.labels)}", "name each label once")
    columns = _with_usual_names(columns, table)
    used = [columns.image, columns.patient, columns.path, columns.study, columns.view, columns.sex, columns.age, columns.split]
    require(table, [name for name in (*used, *columns.labels) if name], file)
    for name in (columns.image, columns.patient):
        refuse_blank(table[name], file)
    refuse_duplicates(table[columns.image], file)
    root = images or file.parent
    if not root.is_dir():
        raise UserError(f"{root} is not a folder", "--images names the folder of the image files")
    found = {
        "image_id": table[columns.image].astype(str),
        "patient_id": table[columns.patient].astype(str),
        "file": _present(table[columns.path or columns.image].astype(str), root),
        **{name: table[column] for name, column in _said(columns).items()},
    }
    if columns.age:
        found["age"] = pd.to_numeric(table[columns.age], errors="coerce")
    if columns.split:
        found["official_split"] = _splits(table[columns.split], file)
    labels = labels_of(table, list(columns.labels), file)
    return Listing(source_table("table", found, list(columns.labels), labels), root, [file])


def _with_usual_names(columns: TableColumns, table: pd.DataFrame) -> TableColumns:
    usual = {"path": "path", "study": "study_id", "view": "view", "sex": "sex", "age": "age", "split": "split"}
    found: dict[str, Any] = {field: name for field, name in usual.items() if not getattr(columns, field) and name in table}
    return replace(columns, **found)


def _said(columns: TableColumns) -> dict[str, str]:
    names = {"study_id": columns.study, "view": columns.view, "sex": columns.sex}
    return {name: column for name, column in names.items() if column}


def _present(paths: pd.Series, root: Path) -> pd.Series:
    """The paths, null where no file is. Paths that leave the folder are kept: the table's author may mean them."""
    there = np.array([(root / path).is_file() for path in paths])
    return pd.Series(paths.where(there))


def _splits(column: pd.Series, file: Path) -> pd.Series:
    names = column.astype(str).str.strip().str.lower().where(column.notna())
    strange = sorted(set(names.dropna()) - set(_SPLITS))
    if strange:
        raise UserError(f"{file}, column {column.name!r}: {listed(strange)} is no split", "splits are train, val and test")
    return names.map(_SPLITS)


def _label_like(table: pd.DataFrame) -> str:
    """The columns that hold nothing but 1, 0, -1 and blanks, as a suggestion."""
    likely = [str(name) for name in table if table[name].dropna().astype(str).str.fullmatch(r"-?[01](\.0)?").all()]
    return f'"{",".join(likely)}"' if likely else '"Name,Name"'
