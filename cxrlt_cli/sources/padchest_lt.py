"""PadChest-LT, the labels of CXR-LT 2026 (142,928 training images, 30 findings) over PadChest (Bustos et al., 2020).

As distributed: one table (CXRLT_2026_training.csv) with ImageID, StudyDate_DICOM, PatientID and one column per finding,
1 or 0. The challenge's development and test labels are not published, so there is no official split unless there is a column
`split`. Every column that PadChest does not have is a finding. The images (16-bit PNG) are in the folder, or in numbered
folders, 0 to 54, as PadChest ships them.

Patients: PatientID in this table was converted to floating point (as in 8.39860488694292e+35). Rounding maps equal ids to equal
numbers, so grouping by it keeps each patient in one split; but two patients may get the same number, so that there seem to be
fewer patients, and intervals are too wide. If PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv(.gz) is next to the images
or the labels, its exact PatientID is used instead, with its StudyID, Projection, sex and age (year of the study minus year of
birth). Nothing else is read from it, in particular no labels and no reports. The image id contains the time of the exposure,
not the patient. A mixture of rounded and exact ids is refused: one patient could get two ids.

Not certain, since the files were not available: the table's name, its other columns, and whether images whose DICOM was
MONOCHROME1 are stored inverted (`inverted` is null: none is inverted back).
"""

import re
from pathlib import Path

import pandas as pd

from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import children, is_file, is_folder
from cxrlt_cli.sources.ages import ages
from cxrlt_cli.sources.listing import (
    Listing,
    label_columns,
    labels_of,
    only_table,
    optional,
    read_text_table,
    refuse_blank,
    refuse_duplicates,
    require,
    require_folder,
    source_table,
    splits_of,
)

_EXACT = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
_OWN = (
    "ImageID", "ImageDir", "StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM", "ViewPosition_DICOM",
    "Projection", "split",
)  # fmt: skip
_TAKEN = ["ImageID", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM", "Projection"]
_DIGITS = 15  # decimal digits that a float64 always keeps


def read_padchest_lt(folder: Path, labels: Path | None) -> Listing:
    """Lists the images of PadChest-LT.

    Args:
        folder: holds the PNGs, or numbered folders of them.
        labels: the table of CXR-LT 2026 or its folder; None if it is the only other table in `folder`.

    Raises:
        UserError: no table or several, a missing column, a value that is not a label, an image twice or unknown to
            PadChest, a mixture of rounded and exact patient ids.
    """
    require_folder(folder)
    path = only_table(folder, labels, "*", but=_EXACT)
    table = read_text_table(path)
    require(table, ["ImageID", "PatientID", "StudyDate_DICOM"], path)
    refuse_blank(table["ImageID"], path)
    refuse_duplicates(table["ImageID"], path)
    classes = label_columns(table, _OWN, path, "take the training table of CXR-LT 2026: others have no labels")
    known, tables = _with_exact(table, path, [folder, path.parent])
    files, unlisted = picture_files(folder, table["ImageID"])
    columns = {
        "image_id": table["ImageID"],
        "patient_id": _patients(known, tables[-1]),
        "study_id": optional(known, "StudyID"),
        "view": optional(known, "Projection"),
        "sex": optional(known, "PatientSex_DICOM"),
        "age": ages((years_of(table["StudyDate_DICOM"]) - years_of(optional(known, "PatientBirth"))).rename("age"), tables[-1]),
        "official_split": splits_of(optional(table, "split"), path),
        "file": files,
    }
    source = source_table("padchest-lt", columns, classes, labels_of(table, classes, path))
    return Listing(source, folder, tables, unlisted)


def _with_exact(table: pd.DataFrame, path: Path, folders: list[Path]) -> tuple[pd.DataFrame, list[Path]]:
    """Metadata of each image: from PadChest's own table if it is there, else from the table itself."""
    places = [folder / f"{_EXACT}{end}" for folder in folders for end in ("", ".gz")]
    exact = next((place for place in places if is_file(place)), None)
    if exact is None:
        return table, [path]
    own = read_text_table(exact)
    require(own, _TAKEN, exact)
    refuse_duplicates(own["ImageID"], exact)
    strange = sorted(set(table["ImageID"]) - set(own["ImageID"]))
    if strange:
        raise UserError(f"{exact} does not list {len(strange)} images of {path}: {listed(strange)}", "get both tables again")
    found = own[_TAKEN].set_index("ImageID").loc[table["ImageID"]].reset_index()
    return found.set_index(table.index), [path, exact]


def _patients(table: pd.DataFrame, path: Path) -> pd.Series:
    """Patient ids, all exact or all rounded; equal rounded ids count as one patient, with a message."""
    refuse_blank(table["PatientID"], path)
    ids = table["PatientID"].str.strip()
    rounded = ids.map(_is_rounded).astype(bool)
    if not rounded.any():
        return ids
    hint = f"put {_EXACT}, which has the exact ids, next to the images"
    lossy = ids[rounded].iloc[0]
    exact = ids[~rounded & ~ids.map(_is_short).astype(bool)]
    if len(exact):
        raise UserError(f"{path}: some PatientIDs are rounded ({lossy}), some are not ({exact.iloc[0]})", hint)
    patients = ids.map(lambda text: repr(float(text)))
    warn(
        f"{path}: PatientID is rounded ({lossy}): {patients.nunique()} groups, the largest of "
        f"{int(patients.value_counts().iloc[0])} images. No patient is split, but several may count as one; {hint}"
    )
    return patients


def _is_rounded(text: str) -> bool:
    """Whether a number was written from a float: it has a fraction or an exponent, or is long and exactly a float."""
    if not text.isdecimal():
        return re.fullmatch(r"\d+\.?\d*(e[+-]?\d+)?", text, re.IGNORECASE) is not None
    return not _is_short(text) and (text.endswith("0" * 10) or int(float(text)) == int(text))


def _is_short(text: str) -> bool:
    """Whether a number is exactly a float."""
    return text.isdecimal() and len(text) <= _DIGITS


def years_of(dates: pd.Series) -> pd.Series:
    """The year at the start of a date (20100307, 1938, 1938.0)."""
    return pd.to_numeric(dates.str[:4], errors="coerce").astype(float)


def picture_files(folder: Path, names: pd.Series) -> tuple[pd.Series, int]:
    """Expected path of each image, and the number of image files that no row names. No table gives the numbered folder."""
    numbered = [path for path in children(folder) if path.name.isdecimal() and is_folder(path)]
    if not numbered:
        return names, 0
    there = {path.name: f"{holder.name}/{path.name}" for holder in numbered for path in children(holder)}
    pictures = {name for name in there if name.endswith(".png")}
    return names.map(there), len(pictures - set(names))
