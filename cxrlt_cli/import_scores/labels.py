"""Labels of a table alone, as a dataset without pixels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.dataset import COLUMNS, Dataset
from cxrlt_cli.artifacts.source_table import SourceTable
from cxrlt_cli.console import say, warn
from cxrlt_cli.errors import listed
from cxrlt_cli.import_scores.patients import patients_of_ids
from cxrlt_cli.import_scores.score_table import ScoreTable
from cxrlt_cli.sources.table import TableColumns, read_label_table


@dataclass(frozen=True)
class PatientIds:
    """Where patient ids come from: a column of the labels or the scores, or a pattern of the image id; both may be empty."""

    column: str
    pattern: str


def dataset_of_labels(
    file: Path, columns: TableColumns, patients: PatientIds, scores: ScoreTable, classes: list[str], split: str
) -> Dataset:
    """Reads a label table. Uncertain and blank labels are unknown.

    Args:
        file: CSV (also .gz) or Parquet.
        columns: which column says what.
        patients: where patient ids come from.
        scores: the scores, which may have a column of patient ids.
        classes: those of the scores.
        split: of every row, where the table has no splits.

    Returns:
        All rows of the table; the header says where the patients come from.

    Raises:
        UserError: as reading the table does; or an image id that does not fit the pattern.
    """
    source = read_label_table(file, columns, classes, scores.table.columns)
    table = source.table.drop(columns=["file", "inverted", "row", "official_split"])
    table["split"] = source.table["official_split"].fillna(split) if _has_splits(source) else split
    table["patient_id"], said = _patients(source, patients, scores, file)
    table["source"] = file.name.split(".")[0]
    table["cache"] = table["row"] = None
    uncertain = (source.labels == -1).sum(axis=0)
    if uncertain.any():
        names = listed(f"{name}: {count}" for name, count in zip(source.classes, uncertain, strict=True) if count)
        say(f"{file}: {int(uncertain.sum())} uncertain labels are unknown ({names})")
    header = {"label_space": "sources", "policies": {}, "patients": said}
    return Dataset(table[COLUMNS], source.classes, (source.labels == 1).astype(np.uint8), source.labels >= 0, {}, header, file)


def _has_splits(source: SourceTable) -> bool:
    return bool(source.table["official_split"].notna().any())


def _patients(source: SourceTable, patients: PatientIds, scores: ScoreTable, file: Path) -> tuple[pd.Series, str]:
    """(N,) patient ids, and where they come from."""
    images = source.table["image_id"]
    if patients.pattern:
        found, said = patients_of_ids(patients.pattern, images, file), f"the pattern {patients.pattern} of the image ids"
    elif source.table["patient_id"].notna().all():
        found, said = source.table["patient_id"], f"the column {patients.column or 'patient_id'!r} of {file}"
    elif patients.column:
        there = scores.table.drop_duplicates(scores.id_column)
        theirs = pd.Series(there[patients.column].astype(str).to_numpy(), index=there[scores.id_column].astype(str))
        found, said = images.map(theirs).fillna(images), f"the column {patients.column!r} of {scores.path}"
    else:
        warn(
            "patients are not known: every image counts as a patient of its own, so intervals are too narrow if patients have "
            "several images; name them: --patient-column or --patient-pattern"
        )
        return images, ""
    say(f"{found.nunique()} patients of {len(images)} images, by {said}")
    return found, said
