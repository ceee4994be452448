"""Reads a table of labels as a dataset without pixels."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.dataset import COLUMNS, Dataset, DatasetHeader
from cxrlt_cli.artifacts.source_table import BLANK, SourceTable
from cxrlt_cli.console import say, warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.import_scores.foreign_table import read_foreign_table, require_id
from cxrlt_cli.import_scores.patients import patients_of_ids
from cxrlt_cli.import_scores.score_columns import columns_of_classes
from cxrlt_cli.import_scores.score_table import ScoreTable, with_ids
from cxrlt_cli.labels.spaces import canonical
from cxrlt_cli.sources.registry import label_columns
from cxrlt_cli.sources.table import TableColumns, labels_of_table


@dataclass(frozen=True)
class LabelFile:
    """A table of labels, and how it is read.

    Attributes:
        path: CSV (also .gz), Parquet or npz.
        columns: names of the columns, except label columns.
        label_columns: names, a label space, a pattern with {class} or a CSV with the columns column,class; empty: those named
            like a class of the scores.
        patient_pattern: how the image id holds the patient id; empty if a column has it, or patients are not known.
        split: of every row, if the table has no column of splits.
    """

    path: Path
    columns: TableColumns
    label_columns: str
    patient_pattern: str
    split: str


def dataset_of_labels(file: LabelFile, scores: ScoreTable, classes: list[str]) -> Dataset:
    """Reads a label table. Uncertain and blank labels are unknown.

    Args:
        file: the table.
        scores: the scores, which may have the column of patient ids.
        classes: those of the scores.

    Returns:
        The rows of the table that have a label; its path is the table's, and its header says where the patients come from.

    Raises:
        UserError: as reading the table does; or an image id that does not fit the pattern.
    """
    source = _read(file, scores, classes)
    unknown = (source.labels == BLANK).all(axis=1)
    if unknown.any():
        names = listed(source.table["image_id"][unknown], 3)
        warn(f"{file.path}: {int(unknown.sum())} images have no label: left out ({names})")
        source = source.rows(~unknown)
    table = source.table.drop(columns=["file", "inverted", "row", "official_split"])
    splits = source.table["official_split"]
    table["split"] = splits.fillna(file.split) if splits.notna().any() else file.split
    table["patient_id"], origin = _patients(source, file, scores)
    _warn_of_shared_patients(table, file.path)
    table["source"] = file.path.name.split(".")[0]
    table["cache"] = table["row"] = None
    uncertain = (source.labels == -1).sum(axis=0)
    if uncertain.any():
        names = listed(f"{name}: {count}" for name, count in zip(source.classes, uncertain, strict=True) if count)
        say(f"{file.path}: {int(uncertain.sum())} uncertain labels are unknown ({names})")
    header = DatasetHeader(label_space="sources", patients=origin)
    targets, label_mask = (source.labels == 1).astype(np.uint8), source.labels >= 0
    return Dataset(table[COLUMNS], source.classes, targets, label_mask, {}, header, file.path)


def _warn_of_shared_patients(table: pd.DataFrame, path: Path) -> None:
    """Warns of patients in several splits: metrics on one split are optimistic if thresholds were chosen on the other."""
    splits = table.groupby("patient_id")["split"].nunique()
    shared = splits.index[splits > 1]
    if len(shared):
        warn(f"{path}: {len(shared)} patients are in more than one split: {listed(shared, 3)}")


def _read(file: LabelFile, scores: ScoreTable, classes: list[str]) -> SourceTable:
    columns = file.columns
    table = scores.table if file.path == scores.path else with_ids(read_foreign_table(file.path), columns.image)
    require_id(table, columns.image, file.path, "--label-id-column")
    if file.patient_pattern or (columns.patient in scores.table and columns.patient not in table):
        columns = replace(columns, patient="")
    if columns.texts:
        return labels_of_table(table, columns, file.path)
    found = _label_columns(file, [str(name) for name in table.columns], classes)
    source = labels_of_table(table, replace(columns, labels=tuple(found.values())), file.path)
    return replace(source, classes=list(found))


def _label_columns(file: LabelFile, names: list[str], classes: list[str]) -> dict[str, str]:
    """Class -> label column."""
    given = file.label_columns
    if not given:
        wanted = {canonical(name) for name in classes}
        return {name: name for name in names if canonical(name) in wanted}
    if "{" in given or given.endswith(".csv"):
        return columns_of_classes(given, [name for name in names if name != file.columns.image], file.path, "--label-columns")
    return {name: name for name in label_columns(given)}


def _patients(source: SourceTable, file: LabelFile, scores: ScoreTable) -> tuple[pd.Series, str]:
    """(N,) patient ids, and where they come from."""
    images, column = source.table["image_id"], file.columns.patient
    if file.patient_pattern:
        return patients_of_ids(file.patient_pattern, images, file.path), f"the pattern {file.patient_pattern} of the image ids"
    if source.table["patient_id"].notna().all():
        return source.table["patient_id"], f"the column {column or 'patient_id'!r} of {file.path}"
    if column:
        there = scores.table.drop_duplicates(scores.id_column)
        blank = there[column].isna()
        if blank.any():
            names = listed(there[scores.id_column][blank], 3)
            raise UserError(f"{scores.path}: column {column!r} is empty for {int(blank.sum())} images: {names}", "fill it")
        patient_of = pd.Series(there[column].astype(str).to_numpy(), index=there[scores.id_column].astype(str))
        return images.map(patient_of).fillna(images), f"the column {column!r} of {scores.path}"
    warn(
        "patients are not known: every image counts as a patient of its own, so that intervals are too narrow if patients have "
        "several images; name them: --patient-column or --patient-pattern"
    )
    return images, ""
