"""PadChest-LT, the labels of CXR-LT 2026 (142,928 training images, 30 findings) over PadChest (Bustos et al., 2020).

As handed out: one table (seen as CXRLT_2026_training.csv) with ImageID, StudyDate_DICOM, PatientID and a column a finding,
1 or 0; the challenge's development and test labels are not published, so that there is no official split unless a column
`split` says one. Every column that is not one of PadChest's own is a finding. The pictures (16-bit PNG) lie flat in the
folder, or as PadChest ships them in numbered folders, 0 to 54.

Who is whose patient: PatientID there has gone through a floating-point number (as in 8.39860488694292e+35). Rounding never
makes two of one, so grouping by it keeps each patient within one split; but it may make one of two, so that there seem to be
fewer patients and intervals over them are too wide. Where PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv(.gz)
stands beside the images or the labels, its exact PatientID counts instead, with its StudyID, Projection, sex and age (the
year of the study less that of birth). Nothing else is taken from it, its labels and reports least of all. The image id itself
holds the time of the exposure, not the patient. Ids of which some are rounded and some exact are refused: they could make
two of one.

Not certain, as the files were not at hand: the table's name, its exact columns beside those three, and whether pictures
whose DICOM was MONOCHROME1 are stored inverted (`inverted` is null: none is turned round).
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
        labels: the table of CXR-LT 2026, or its folder, where it is not the only other table in `folder`.

    Raises:
        UserError: no table or several, a missing column, a value that is no label, an image twice or unknown to PadChest,
            patient ids of which some are rounded and some exact.
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
    """What is known of each image: from PadChest's own table where it is there, else from the table itself."""
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
    """Patient ids, all exact or all rounded; rounded ones are one patient where they are one number, and that is said."""
    refuse_blank(table["PatientID"], path)
    ids = table["PatientID"].str.strip()
    rounded = ids.map(_is_rounded).astype(bool)
    if not rounded.any():
        return ids
    hint = f"put {_EXACT}, which has them exactly, beside the images"
    lossy = ids[rounded].iloc[0]
    exact = ids[~rounded & ~ids.map(_is_short).astype(bool)]
    if len(exact):
        raise UserError(f"{path}: some PatientIDs are rounded ({lossy}), some are not ({exact.iloc[0]})", hint)
    patients = ids.map(lambda text: repr(float(text)))
    warn(
        f"{path}: PatientID is rounded ({lossy}): {patients.nunique()} groups, the largest of "
        f"{int(patients.value_counts().iloc[0])} images. No patient is torn, but several may pass for one; {hint}"
    )
    return patients


def _is_rounded(text: str) -> bool:
    """Whether a number was a float before it was written: a fraction or exponent, or long and a float's very value."""
    if not text.isdecimal():
        return re.fullmatch(r"\d+\.?\d*(e[+-]?\d+)?", text, re.IGNORECASE) is not None
    return not _is_short(text) and (text.endswith("0" * 10) or int(float(text)) == int(text))


def _is_short(text: str) -> bool:
    """Whether a number is the same as a float."""
    return text.isdecimal() and len(text) <= _DIGITS


def years_of(dates: pd.Series) -> pd.Series:
    """The year that a date (20100307, 1938, 1938.0) begins with."""
    return pd.to_numeric(dates.str[:4], errors="coerce").astype(float)


def picture_files(folder: Path, names: pd.Series) -> tuple[pd.Series, int]:
    """Where each image is expected, and how many pictures no row names. Numbered folders are listed: no table says which."""
    numbered = [path for path in children(folder) if path.name.isdecimal() and is_folder(path)]
    if not numbered:
        return names, 0
    there = {path.name: f"{holder.name}/{path.name}" for holder in numbered for path in children(holder)}
    pictures = {name for name in there if name.endswith(".png")}
    return names.map(there), len(pictures - set(names))
