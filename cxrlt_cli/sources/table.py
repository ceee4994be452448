"""Any CSV or Parquet table with one row per image; options name its columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.source_table import SourceTable
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_folder
from cxrlt_cli.sources.ages import ages
from cxrlt_cli.sources.image_rows import first_rows, with_suffix
from cxrlt_cli.sources.listing import (
    Listing,
    labels_of,
    read_text_table,
    refuse_blank,
    require,
    source_table,
    splits_of,
    usual_path,
)
from cxrlt_cli.sources.monochrome1 import inverted_of
from cxrlt_cli.sources.text_labels import labels_of_texts


@dataclass(frozen=True)
class TableColumns:
    """The column names of a table. Where one is empty, the column with the default name is used if it exists.

    Attributes:
        image: image id; unique.
        path: image file, from the images' folder; the image id where empty.
        patient: patient id.
        study: study id.
        view: view position.
        sex: sex.
        age: age in years, or with a unit (`sources.ages`).
        split: official split: train, val (also valid, validation, dev) or test.
        inverted: whether an image shows dense tissue dark.
        labels: the label columns, with values 1, 0, -1 and blank.
        values: the meaning of other words in them; see `sources.listing.labels_of`.
        texts: instead of label columns, the column that names the labels of an image; see `sources.text_labels`.
        separator: between the labels in that column.
    """

    image: str
    path: str
    patient: str
    study: str
    view: str
    sex: str
    age: str
    split: str
    inverted: str
    labels: tuple[str, ...]
    values: Mapping[str, str] = field(default_factory=dict)
    texts: str = ""
    separator: str = "|"


def read_table_source(file: Path, images: Path | None, columns: TableColumns) -> Listing:
    """Lists the images of a table.

    Args:
        file: CSV (also .gz) or Parquet.
        images: the folder that the paths are relative to; None for the folder of the table.
        columns: names of its columns.

    Raises:
        UserError: no such file, column or folder, rows of one image that differ, an empty id, an invalid label, an unknown
            split.
    """
    table = read_text_table(file)
    columns = _with_usual_names(columns, table)
    if not columns.path:
        columns = replace(columns, path=usual_path(table))
    source = _described(table, columns, file)
    root = images or file.parent
    if not is_folder(root):
        raise UserError(f"{root} is not a folder", "--images names the folder of the image files")
    files = with_suffix(table[columns.path or columns.image].astype(str), root, file)
    keep = first_rows(table, columns.image, _used(columns), file)
    source.table["file"] = files
    return Listing(source.rows(keep), root, [file])


def labels_of_table(table: pd.DataFrame, columns: TableColumns, file: Path) -> SourceTable:
    """Labels, patients and what else a table says of images, without image files.

    Args:
        table: as `read_text_table` gives it.
        columns: which column says what; patients are unknown where `patient` is empty and there is no column patient_id.
        file: of the table, for messages.

    Raises:
        UserError: as `read_table_source` does.
    """
    columns = _with_usual_names(columns, table)
    source = _described(table, columns, file)
    return source.rows(first_rows(table, columns.image, _used(columns), file))


def _described(table: pd.DataFrame, columns: TableColumns, file: Path) -> SourceTable:
    """All rows of a table, without files."""
    require(table, _used(columns), file)
    classes, labels = _labels(table, columns, file)
    for name in filter(None, (columns.image, columns.patient)):
        refuse_blank(table[name], file)
    found: dict[str, Any] = {"image_id": table[columns.image].astype(str)}
    found |= {name: table[column] for name, column in _said(columns).items()}
    if columns.patient:
        found["patient_id"] = table[columns.patient].astype(str)
    if columns.age:
        found["age"] = ages(table[columns.age], file)
    if columns.split:
        found["official_split"] = splits_of(table[columns.split], file)
    if columns.inverted:
        found["inverted"] = inverted_of(table[columns.inverted], file)
    return source_table("table", found, classes, labels)


def _used(columns: TableColumns) -> list[str]:
    return [*filter(None, (getattr(columns, what) for what in _COLUMNS)), *columns.labels]


_COLUMNS = ("image", "path", "patient", "study", "view", "sex", "age", "split", "inverted", "texts")


def _labels(table: pd.DataFrame, columns: TableColumns, file: Path) -> tuple[list[str], np.ndarray]:
    """Label names, and (N, C) int8 of them."""
    if columns.texts:
        return labels_of_texts(table[columns.texts], columns.separator, file)
    if not columns.labels:
        raise UserError(f"{file}: which columns are labels?", f"name them: {_suggestion(table)}")
    if len(set(columns.labels)) < len(columns.labels):
        raise UserError(f"--label-columns names a column twice: {listed(columns.labels)}", "name each label once")
    return list(columns.labels), labels_of(table, list(columns.labels), file, columns.values)


def _with_usual_names(columns: TableColumns, table: pd.DataFrame) -> TableColumns:
    usual = {"patient": "patient_id", "study": "study_id", "view": "view", "sex": "sex", "age": "age", "split": "split"}
    found: dict[str, Any] = {field: name for field, name in usual.items() if not getattr(columns, field) and name in table}
    return replace(columns, **found)


def _said(columns: TableColumns) -> dict[str, str]:
    names = {"study_id": columns.study, "view": columns.view, "sex": columns.sex}
    return {name: column for name, column in names.items() if column}


def _suggestion(table: pd.DataFrame) -> str:
    """A suggestion: the option for the columns that look like labels (only 1, 0, -1 and blanks) or label texts."""
    texts = {str(name): table[name].dropna().astype(str).str.strip() for name in table}
    likely = [name for name, column in texts.items() if column.str.fullmatch(r"-?[01](\.0)?").all()]
    if likely:
        return f'--label-columns "{_names(likely)}"'
    worded = {name: sorted(set(column)) for name, column in texts.items() if _are_words(column)}
    if worded:
        words = {word: _WORDS[word.casefold()] for found in worded.values() for word in found}
        meant = ",".join(f"{word}={label}" for word, label in words.items())
        return f'--label-columns "{_names(list(worded))}" --values {meant}'
    lists = [name for name, column in texts.items() if column.str.contains(r"\w\|\w|^\[.*\]$").any()]
    return f'--label-column "{lists[0]}"' if lists else '--label-columns "Name,Name", or --label-column "Name"'


_WORDS = {"yes": 1, "true": 1, "present": 1, "positive": 1, "no": 0, "false": 0, "absent": 0, "negative": 0}


def _are_words(column: pd.Series) -> bool:
    return len(column) > 0 and bool(column.str.casefold().isin(list(_WORDS)).all())


def _names(names: list[str]) -> str:
    """Names in the form of `--label-columns`; the first of very many."""
    return ",".join(names[:40]) + (",…" if len(names) > 40 else "")
