"""CheXpert (Irvin et al., AAAI 2019; 224,316 images of 65,240 patients), full (CheXpert-v1.0) and small.

As published: train.csv (223,414 rows, labelled from reports) and valid.csv (234, by radiologists), each with `Path`
(`CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg`), Sex, Age, Frontal/Lateral, AP/PA and 14 observations:
1 present, 0 absent, -1 uncertain, blank not mentioned. All four are kept apart, also for `No Finding`, which is 1 or blank.
Labels of the 500 studies of the test set were released later, in files named test_labels.csv or test.csv, whose `Path` starts
with `test/` and which lack Sex, Age and view. groundtruth.csv, one row per study, is not read.

The image id is the path without the dataset's name and without .jpg, so that it is the same in full and small. The split is
the first folder of the path; `valid` becomes val. The view of a frontal image is AP/PA as published (AP, PA, 16 times LL and
once RL), of a lateral one LATERAL. Ages above 90 are published as 90; 3 rows of train.csv have age 0, which is kept. The full
download comes in batches (`CheXpert-v1.0 batch 1 (validate & csv)`, `CheXpert-v1.0 batch 2 (train 1)` …), whose folders hold
the patients; without a folder `train/`, patients are looked up in the batches.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.source_table import SourceTable
from cxrlt_cli.console import say
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import exists, is_file, is_folder
from cxrlt_cli.sources.ages import ages
from cxrlt_cli.sources.listing import (
    Listing,
    joined,
    label_tables,
    labels_of,
    optional,
    read_text_table,
    refuse_blank,
    require,
    require_folder,
    source_table,
)

CLASSES = [
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation",
    "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices",
]  # fmt: skip
_NAMES = ("train", "valid", "test", "test_labels")
_PATH = (
    r"(?:^|/)(?P<split>train|valid|test)/(?P<patient>patient\d+)/(?P<study>study\d+)/(?P<view>view\d+_(?:frontal|lateral))"
    r"\.jpg$"
)
_SEXES = {"Female": "F", "Male": "M"}  # the one patient of sex Unknown is null


def read_chexpert(folder: Path, labels: Path | None) -> Listing:
    """Lists the images of CheXpert.

    Args:
        folder: holds `train/` and `valid/`, or the one CheXpert folder that does.
        labels: a label table or a folder of several; None if they are next to the images.

    Raises:
        UserError: no table, or two CheXpert folders; a path that is not CheXpert's; a missing column; a value that is not a
            label; an image twice.
    """
    require_folder(folder)
    batches = _batches(folder)
    if batches:
        holder = next((batch for batch in (folder, *batches) if is_file(batch / "train.csv")), folder)
        paths = label_tables(holder, labels, _NAMES)
        source = joined([_rows(path) for path in paths], paths)
        source.table["file"] = _files_in(batches, source.table["file"], folder)
        return Listing(source, folder, paths)
    root = _root(folder)
    paths = label_tables(root, labels, _NAMES)
    return Listing(joined([_rows(path) for path in paths], paths), root, paths)


def _batches(folder: Path) -> list[Path]:
    """The batch folders of the full download, if they were not merged into `train/`."""
    if is_folder(folder / "train"):
        return []
    return [path for path in sorted(folder.glob("CheXpert*batch*")) if is_folder(path)]


def _files_in(batches: list[Path], files: pd.Series, folder: Path) -> pd.Series:
    """The files (`train/patient00001/…`) as paths in the batches; unchanged if no batch has the patient."""
    holders = [holder for batch in batches for holder in (batch, batch / "train", batch / "valid") if is_folder(holder)]
    place = {path.name: holder.relative_to(folder) for holder in holders for path in holder.glob("patient*")}
    parts = files.str.split("/", n=2)  # split, patient, the rest
    found = [f"{place.get(patient, Path(split)).as_posix()}/{patient}/{rest}" for split, patient, rest in parts]
    say(f"{folder}: patients are looked up in {len(batches)} batches of the download")
    return pd.Series(found, index=files.index)


def _root(folder: Path) -> Path:
    """The folder itself if it is that of CheXpert, else the only such folder in it."""
    if _is_chexpert(folder):
        return folder
    inside = [path for path in sorted(folder.glob("CheXpert*")) if _is_chexpert(path)]
    if len(inside) > 1:
        raise UserError(f"{folder} holds {listed(path.name for path in inside)}", f"--source chexpert={inside[0]} names one")
    return inside[0] if inside else folder


def _is_chexpert(folder: Path) -> bool:
    return any(exists(folder / name) for name in ("train", "valid", "test", "train.csv", "valid.csv"))


def _rows(path: Path) -> SourceTable:
    table = read_text_table(path)
    require(table, ["Path", *CLASSES], path)
    refuse_blank(table["Path"], path)
    parts = table["Path"].str.extract(_PATH)
    wrong = np.flatnonzero(parts["split"].isna())
    if len(wrong):
        raise UserError(
            f"{path}, row {wrong[0] + 1}: {table['Path'].iloc[wrong[0]]!r} is not a path of CheXpert",
            "as in CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg; any other table: --source table=FILE",
        )
    study = parts["patient"] + "/" + parts["study"]
    image = parts["split"] + "/" + study + "/" + parts["view"]
    columns = {
        "image_id": image,
        "patient_id": parts["patient"],
        "study_id": study,
        "view": _views(table, parts["view"]),
        "sex": optional(table, "Sex").map(_SEXES),
        "age": ages(optional(table, "Age"), path),
        "official_split": parts["split"].replace("valid", "val"),
        "file": image + ".jpg",
    }
    return source_table("chexpert", columns, CLASSES, labels_of(table, CLASSES, path))


def _views(table: pd.DataFrame, names: pd.Series) -> pd.Series:
    return optional(table, "AP/PA").mask(names.str.endswith("_lateral"), "LATERAL")
