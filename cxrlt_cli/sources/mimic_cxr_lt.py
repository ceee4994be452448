"""CXR-LT 2023 and 2024 (Holste et al., PhysioNet cxr-lt-iccv-workshop-cvamd) over the images of MIMIC-CXR-JPG.

The images: `files/p10/p10000032/s50414267/<dicom_id>.jpg` under the folder of MIMIC-CXR-JPG; the two digits are the
patient's first. The labels are a separate download: `--labels` names their folder or one of their files:

- version 1.1.0, `cxr-lt-2023/`: train.csv, development.csv, test.csv, 26 labels, the column of the file is `path`;
- version 2.0.0, `cxr-lt-2024/`: labels.csv (45 labels, column `split`), train_labeled.csv, development_labeled_task1.csv …
  test_labeled_task3.csv (40, 26 and 5 labels), the column of the file is `fpath`.

A folder is read as one source: labels.csv if it exists, else its train, development and test tables together. A file that
`--labels` names is read alone; its name gives the split. Development becomes val.
The columns before the labels are dicom_id, subject_id, study_id, ViewPosition, ViewCodeSequence_CodeMeaning and the file;
every other column is a label, by its name and not its place. The patient is the subject_id; sex and age are not published
here (MIMIC-IV has them).

Not certain, since these files need a credentialed account and were not available: whether `path` starts with `files/`
(everything before the patient's folder is ignored), whether ids have the prefixes p and s (they are removed), and how
labels.csv spells its splits. Files without labels, as distributed during the challenges, are refused.
"""

from pathlib import Path

import pandas as pd

from cxrlt_cli.artifacts.source_table import SourceTable
from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError
from cxrlt_cli.paths import is_file
from cxrlt_cli.sources.listing import (
    Listing,
    joined,
    label_columns,
    label_tables,
    labels_of,
    optional,
    read_text_table,
    refuse_blank,
    require,
    require_folder,
    source_table,
    splits_of,
    usual_path,
)

_IDS = ("dicom_id", "subject_id", "study_id")
_OTHERS = (*_IDS, "ViewPosition", "ViewCodeSequence_CodeMeaning", "path", "fpath", "split")
_NAMES = ("train", "train_labeled", "development", "development_labeled", "test", "test_labeled")
_SPLIT_OF_NAME = {"train": "train", "development": "val", "test": "test"}


def read_mimic_cxr_lt(folder: Path, labels: Path | None) -> Listing:
    """Lists the images of MIMIC-CXR-LT.

    Args:
        folder: of MIMIC-CXR-JPG; holds `files/`.
        labels: the folder of the CXR-LT label files, or one of them; None for `folder`.

    Raises:
        UserError: no label file or label column, a value that is not a label, an image twice, ids that are blank or contradict
            the path.
    """
    require_folder(folder)
    paths = label_tables(folder, labels, ["labels"] if _has_whole(labels or folder) else _NAMES)
    return Listing(joined([_rows(path) for path in paths], paths), folder, paths)


def _has_whole(holder: Path) -> bool:
    return any(is_file(holder / name) for name in ("labels.csv", "labels.csv.gz"))


def _rows(path: Path) -> SourceTable:
    table = read_text_table(path)
    require(table, _IDS, path, "CXR-LT's label files have dicom_id, subject_id, study_id")
    for name in _IDS:
        refuse_blank(table[name], path)
    classes = label_columns(table, _OTHERS, path, "take labels.csv, or a file whose name says labeled")
    columns = {
        "image_id": table["dicom_id"],
        "patient_id": table["subject_id"].str.removeprefix("p"),
        "study_id": table["study_id"].str.removeprefix("s"),
        "view": optional(table, "ViewPosition"),
        "official_split": _splits(table, path),
        "file": _files(table, path),
    }
    return source_table("mimic-cxr-lt", columns, classes, labels_of(table, classes, path))


def _splits(table: pd.DataFrame, path: Path) -> pd.Series | str | None:
    """The split of each image, or of all; what has none is said, as `merge` deals its patients out by itself."""
    splits = splits_of(table["split"], path) if "split" in table else _split_of(path)
    free = len(table) if splits is None else 0 if isinstance(splits, str) else int(splits.isna().sum())
    if free:
        warn(f"{path}: {free} of {len(table)} images have no official split; merge deals their patients out by --split")
    return splits


def _split_of(path: Path) -> str | None:
    return next((split for name, split in _SPLIT_OF_NAME.items() if path.name.startswith(name)), None)


def _files(table: pd.DataFrame, path: Path) -> pd.Series:
    """The file of each image by its ids, which is the layout of MIMIC-CXR-JPG. Raises UserError where the table disagrees."""
    patient, study = table["subject_id"].str.removeprefix("p"), table["study_id"].str.removeprefix("s")
    expected = "p" + patient.str[:2] + "/p" + patient + "/s" + study + "/" + table["dicom_id"] + ".jpg"
    column = usual_path(table)
    if column:
        tail = "/" + table[column].astype(str)
        wrong = [row for row, (given, built) in enumerate(zip(tail, expected, strict=True)) if not given.endswith("/" + built)]
        if wrong:
            given, built = table[column].iloc[wrong[0]], expected.iloc[wrong[0]]
            raise UserError(
                f"{path}, column {column!r}, row {wrong[0] + 1}: {given!r} is not {built!r}, as its ids say",
                f"ids and file contradict each other in {len(wrong)} rows: get the label files again",
            )
    return "files/" + expected
