"""Google's expert labels of ChestX-ray14 images.

As published (gs://gcs-public-data--healthcare-nih-chest-xray-labels), beside NIH's images (`chestxray14`), a row per image:

- all_findings_expert_labels_test_labels.csv (Nabulsi et al., Scientific Reports 2021): 810 images, the majority of three
  radiologists. `Image ID`, `Patient ID`, and YES or NO for `Abnormal`, the 14 findings of ChestX-ray14 and `Other`.
- four_findings_expert_labels_validation_labels.csv and …_test_labels.csv (Majkowska et al., Radiology 2020): 4,376 images,
  adjudicated by three radiologists. NIH's columns (`Image Index`, `Patient ID` …), YES or NO for `Fracture`, `Pneumothorax`,
  `Airspace opacity` and `Nodule or mass`, and `Set Id`, val or test.

`Finding Labels` are NIH's own labels and are not read. HEDGE, which single readers say, is uncertain. `Abnormal` becomes its
opposite `No Finding`. The 810 images are all in the split test. The tables with a row per reader are no labels: `cxrlt evaluate
--readers` takes them. Patients are those of `chestxray14`: merged together, a patient stays in one split.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.source_table import BLANK, SourceTable
from cxrlt_cli.errors import UserError
from cxrlt_cli.sources.ages import ages
from cxrlt_cli.sources.chestxray14 import image_files
from cxrlt_cli.sources.listing import (
    Listing,
    joined,
    label_tables,
    labels_of,
    optional,
    read_text_table,
    refuse_blank,
    refuse_duplicates,
    require,
    require_folder,
    source_table,
    splits_of,
)

_TABLES = (
    "all_findings_expert_labels_test_labels",
    "four_findings_expert_labels_validation_labels",
    "four_findings_expert_labels_test_labels",
)
_ALL = [
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural Thickening", "Hernia", "Other",
]  # fmt: skip
_FOUR = ["Fracture", "Pneumothorax", "Airspace opacity", "Nodule or mass"]
_WORDS = {"yes": "1", "no": "0", "hedge": "-1"}


def read_google_nih(folder: Path, labels: Path | None) -> Listing:
    """Lists the images that experts labelled.

    Args:
        folder: of ChestX-ray14: holds `images/` or `images_*/images/`.
        labels: a label table or a folder of them, where they do not lie in `folder`.

    Raises:
        UserError: no images, no table, tables of different findings, a table with a row per reader, a column lacking, an image
            twice, or a value other than YES, NO, HEDGE and blank.
    """
    require_folder(folder)
    files = image_files(folder)
    paths = label_tables(folder, labels, _TABLES)
    return Listing(joined([_read(path, files) for path in paths], paths), folder, paths)


def _read(path: Path, files: dict[str, str]) -> SourceTable:
    table = read_text_table(path)
    if "Reader ID" in table:
        raise UserError(
            f"{path} has a row per reader and image, not one per image",
            f"name the table of labels, as {_TABLES[0]}.csv; readers are for cxrlt evaluate --readers",
        )
    of_all = "Abnormal" in table
    image, findings = ("Image ID", _ALL) if of_all else ("Image Index", _FOUR)
    require(table, [image, "Patient ID", *findings, *([] if of_all else ["Set Id"])], path)
    for name in (image, "Patient ID"):
        refuse_blank(table[name], path)
    refuse_duplicates(table[image], path)
    columns = {
        "image_id": table[image],
        "patient_id": table["Patient ID"],
        "view": optional(table, "View Position"),
        "sex": optional(table, "Patient Gender"),
        "age": ages(optional(table, "Patient Age"), path),
        "official_split": "test" if of_all else splits_of(table["Set Id"], path),
        "file": table[image].map(files),
    }
    values = labels_of(table, findings, path, _WORDS)
    if of_all:
        findings, values = [*findings, "No Finding"], np.column_stack([values, _opposite(table, path)])
    return source_table("google-nih", columns, findings, values)


def _opposite(table: pd.DataFrame, path: Path) -> np.ndarray:
    """(N,) int8 of `No Finding`: what `Abnormal` is not; uncertain and blank stay so."""
    abnormal = labels_of(table, ["Abnormal"], path, _WORDS)[:, 0]
    opposite: np.ndarray = np.where(np.isin(abnormal, (-1, BLANK)), abnormal, 1 - abnormal).astype(np.int8)
    return opposite
