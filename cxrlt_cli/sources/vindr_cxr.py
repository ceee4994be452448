"""VinDr-CXR (Nguyen et al., Scientific Data 2022; 18,000 PA images: 15,000 to train, 3,000 to test).

As published (PhysioNet 1.0.0): `train/*.dicom`, `test/*.dicom` (also converted: .png, .jpg); `annotations/` with
image_labels_train.csv (image_id, rad_id, 28 labels 0/1; three radiologists per image), image_labels_test.csv (image_id, 28
labels; a consensus, without rad_id), annotations_train.csv and annotations_test.csv (image_id, class_name, a box; one row per
box). The image labels are read if they exist, else the boxes, which includes the Kaggle form: train.csv (image_id, class_name,
class_id, rad_id, a box), 14 findings and No finding. With boxes, the labels are the names that occur; a finding without a box
of a reader is 0 for that reader, who has at least one row per image read (class_name `No finding` if there is none).

Three readings give one label (a choice of cxrlt): 1 if more than half of the readers mark the finding, 0 if none does, else -1
(uncertain). `Other disease` of the test file becomes `Other diseases`, as in the train file. No patient ids are published:
each image counts as a patient of its own, so that a patient with two images can be in two splits of `merge`. All images are
PA; sex and age are in the DICOM files only, and not read.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.source_table import BLANK, SourceTable
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_file, is_folder
from cxrlt_cli.sources.listing import (
    Listing,
    joined,
    label_tables,
    labels_of,
    read_text_table,
    refuse_blank,
    require,
    require_folder,
    source_table,
)

CLASSES = [
    "Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Clavicle fracture", "Consolidation", "Edema",
    "Emphysema", "Enlarged PA", "ILD", "Infiltration", "Lung Opacity", "Lung cavity", "Lung cyst", "Mediastinal shift",
    "Nodule/Mass", "Pleural effusion", "Pleural thickening", "Pneumothorax", "Pulmonary fibrosis", "Rib fracture",
    "Other lesion", "COPD", "Lung tumor", "Pneumonia", "Tuberculosis", "Other diseases", "No finding",
]  # fmt: skip
_RENAMED = {"Other disease": "Other diseases"}
_FORMS = (("image_labels_train", "image_labels_test"), ("annotations_train", "annotations_test"), ("train", "test"))
_SUFFIXES = (".dicom", ".dcm", ".png", ".jpg", ".jpeg")


def read_vindr_cxr(folder: Path, labels: Path | None) -> Listing:
    """Lists the images of VinDr-CXR.

    Args:
        folder: holds `train/` and `test/`, and mostly `annotations/`.
        labels: a label table or the folder of several; None if they are there.

    Raises:
        UserError: no table, a missing column, a finding that VinDr-CXR does not have, a value other than 0 and 1, a reader
            twice on an image, an image in both splits.
    """
    require_folder(folder)
    paths = _tables(folder, labels)
    tables = [read_text_table(path).rename(columns=_RENAMED) for path in paths]
    classes = _classes(tables)
    parts = [_rows(table, path, folder, classes) for table, path in zip(tables, paths, strict=True)]
    return Listing(joined(parts, paths), folder, paths)


def _tables(folder: Path, labels: Path | None) -> list[Path]:
    beside = folder / "annotations"
    holder = labels or (beside if is_folder(beside) else folder)
    for names in _FORMS:
        if any(is_file(holder / f"{name}.csv{end}") for name in names for end in ("", ".gz")):
            return label_tables(holder, None, names)
    return label_tables(holder, labels, [name for names in _FORMS for name in names])


def _classes(tables: list[pd.DataFrame]) -> list[str]:
    """The labels in their published order: the columns, or the names of the boxes, of all tables together."""
    said = {str(name) for table in tables for name in table.get("class_name", table.columns)}
    return [name for name in CLASSES if name in {_RENAMED.get(name, name) for name in said}]


def _rows(table: pd.DataFrame, path: Path, folder: Path, classes: list[str]) -> SourceTable:
    require(table, ["image_id"], path)
    split = "train" if "rad_id" in table else "test"  # the test labels are a consensus without reader ids
    if split == "test":
        table = table.assign(rad_id="consensus")
    refuse_blank(table["image_id"], path)
    refuse_blank(table["rad_id"], path)
    readings = _of_boxes(table, path, classes) if "class_name" in table else _of_readers(table, path)
    images, labels = _merged(readings)
    suffix = _suffix(folder / split)
    columns = {
        "image_id": images,
        "patient_id": images,
        "view": "PA",
        "official_split": split,
        "file": split + "/" + images + suffix,
    }
    return source_table("vindr-cxr", columns, list(readings.columns), labels)


def _of_readers(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """(readings, C) 1, 0 or NaN, by image and reader."""
    require(table, CLASSES, path)
    values = labels_of(table, CLASSES, path)
    if (values == -1).any():
        raise UserError(f"{path}: -1 is not a reading of VinDr-CXR", "readings are 1 or 0")
    readings = np.where(values == BLANK, np.nan, values)
    index = pd.MultiIndex.from_frame(table[["image_id", "rad_id"]])
    if index.has_duplicates:
        image, reader = index[index.duplicated()][0]
        raise UserError(f"{path}: {image} has two rows of {reader}", "a reader has one row per image")
    return pd.DataFrame(readings, index=index, columns=CLASSES)


def _of_boxes(table: pd.DataFrame, path: Path, classes: list[str]) -> pd.DataFrame:
    """(readings, C) 1 or 0, by image and reader."""
    refuse_blank(table["class_name"], path)
    names = table["class_name"].replace(_RENAMED)
    unknown = sorted(set(names) - set(CLASSES))
    if unknown:
        raise UserError(f"{path}: {listed(unknown)} is not a finding of VinDr-CXR", f"it has: {', '.join(CLASSES)}")
    drawn = pd.get_dummies(names).reindex(columns=classes, fill_value=False).astype(float)
    return drawn.groupby([table["image_id"], table["rad_id"]], sort=False).max()


def _merged(readings: pd.DataFrame) -> tuple[pd.Series, np.ndarray]:
    """Image ids and (images, C) int8: 1 by majority of the readers, 0 if none marks it, else -1; BLANK without readers."""
    share = readings.groupby(level="image_id", sort=False).mean()
    votes = share.to_numpy()
    labels = np.select([np.isnan(votes), votes > 0.5, votes == 0], [BLANK, 1, 0], -1).astype(np.int8)
    return pd.Series(share.index.astype(str)), labels


def _suffix(folder: Path) -> str:
    """The suffix of the images in a folder; the published one if it is empty or missing."""
    return next((suffix for suffix in _SUFFIXES if next(folder.glob(f"*{suffix}"), None)), _SUFFIXES[0])
