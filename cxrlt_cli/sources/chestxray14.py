"""NIH ChestX-ray14 (Wang et al., CVPR 2017; 112,120 frontal images of 30,805 patients).

As published: `images/*.png`, or the archives' `images_001/images/*.png` … `images_012/images/*.png`; the label table
`Data_Entry_2017.csv` or its revision `Data_Entry_2017_v2020.csv` (`Finding Labels` joins findings with `|`, or says
`No Finding`); the official lists `train_val_list.txt` and `test_list.txt`, one file name per line. A finding that is not named
is absent: 1 and 0, never blank. The patient is the number before the underscore of the file name.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.source_table import SourceTable
from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed, reason
from cxrlt_cli.paths import children, contents, is_file, is_folder
from cxrlt_cli.sources.ages import ages
from cxrlt_cli.sources.listing import (
    Listing,
    only_table,
    optional,
    read_text_table,
    refuse_blank,
    refuse_duplicates,
    require,
    require_folder,
    source_table,
)

CLASSES = [
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia", "No Finding",
]  # fmt: skip
_LISTS = {"train_val_list.txt": "train_val", "test_list.txt": "test"}


def read_chestxray14(folder: Path, labels: Path | None) -> Listing:
    """Lists the images of ChestX-ray14.

    Args:
        folder: holds `images/` or `images_*/images/`.
        labels: the label table or its folder; None if it is in `folder`.

    Raises:
        UserError: no images, no table or several, columns or findings that NIH does not publish, a file listed in both
            official lists.
    """
    require_folder(folder)
    files = image_files(folder)
    path = only_table(folder, labels, "Data_Entry_2017*")
    table = read_text_table(path)
    require(table, ["Image Index", "Finding Labels", "Patient ID"], path)
    refuse_blank(table["Image Index"], path)
    refuse_blank(table["Patient ID"], path)
    refuse_duplicates(table["Image Index"], path)
    splits, lists = _official_splits([folder, path.parent])
    _warn_of_no_split(table["Image Index"], splits, lists, [folder, path.parent])
    source = _rows(table, files, splits, path)
    listed_names = set(table["Image Index"])
    return Listing(source, folder, [path, *lists], unlisted=sum(name not in listed_names for name in files))


def image_files(folder: Path) -> dict[str, str]:
    """File name -> path from the folder, of ChestX-ray14's PNGs. Raises UserError where there are none."""
    holders = [folder / "images", *sorted(folder.glob("images_*/images"))]
    files: dict[str, str] = {}
    for holder in holders:
        if is_folder(holder):
            files.update((path.name, str(path.relative_to(folder))) for path in children(holder) if path.suffix == ".png")
    if not files:
        place = next((holder for holder in holders if is_folder(holder)), folder)
        raise UserError(
            f"{folder} has no PNG in images/ or images_*/images/: {place} {contents(place)}",
            "name the folder in which these lie",
        )
    return files


def _official_splits(folders: list[Path]) -> tuple[dict[str, str], list[Path]]:
    """File name -> official split, from the lists that exist."""
    splits: dict[str, str] = {}
    lists = []
    for name, split in _LISTS.items():
        path = next((folder / name for folder in folders if is_file(folder / name)), None)
        if path is None:
            continue
        lists.append(path)
        for image in _names_of(path):
            if splits.setdefault(image, split) != split:
                raise UserError(f"{image} is in both official lists ({path})", "get the lists from NIH again")
    return splits, lists


def _names_of(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split()
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as text: {reason(error)}", "get the lists from NIH again") from error


def _warn_of_no_split(names: pd.Series, splits: dict[str, str], lists: list[Path], folders: list[Path]) -> None:
    """Warns of images that are in no official list: `merge` will assign their patients to splits."""
    absent = [name for name in _LISTS if name not in {path.name for path in lists}]
    where = " or ".join(dict.fromkeys(map(str, folders)))
    said = f"{listed(absent)} not in {where}: " if absent else ""
    free = names[~names.isin(splits)]
    if len(free):
        warn(
            f"{said}{len(free)} of {len(names)} images have no official split ({listed(free, 1)}); merge deals their patients "
            "out by --split, and results are not comparable with published ones"
        )


def _rows(table: pd.DataFrame, files: dict[str, str], splits: dict[str, str], path: Path) -> SourceTable:
    names = table["Image Index"]
    columns = {
        "image_id": names,
        "patient_id": table["Patient ID"],
        "view": optional(table, "View Position"),
        "sex": optional(table, "Patient Gender"),
        "age": ages(optional(table, "Patient Age"), path),
        "official_split": names.map(splits),
        "file": names.map(files),
    }
    return source_table("chestxray14", columns, CLASSES, _labels(table["Finding Labels"], path))


def _labels(findings: pd.Series, path: Path) -> np.ndarray:
    codes, distinct = pd.factorize(findings, use_na_sentinel=False)  # few combinations of findings
    combinations = pd.Series(distinct)
    empty = combinations.isna() | (combinations.astype(str).str.strip("| ") == "")
    blank = np.flatnonzero(empty.to_numpy()[codes])
    if len(blank):
        raise UserError(f"{path}, row {blank[0] + 1}: `Finding Labels` is empty", "an image without findings says No Finding")
    present = combinations.str.get_dummies("|")
    unknown = [name for name in present.columns if name not in CLASSES]
    if unknown:
        raise UserError(f"{path}: {listed(unknown)} is not a finding of ChestX-ray14", f"it has: {', '.join(CLASSES)}")
    return present.reindex(columns=CLASSES, fill_value=0).to_numpy(dtype=np.int8)[codes]
