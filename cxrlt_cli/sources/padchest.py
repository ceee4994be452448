"""PadChest (Bustos et al., Medical Image Analysis 2020; 160,868 images of 67,625 patients) with its own labels.

As published: PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv(.gz), one row per image: ImageID (the file), ImageDir (its
numbered folder, 0 to 54), StudyDate_DICOM, StudyID, PatientID, PatientBirth (a year), PatientSex_DICOM, Projection (PA, L,
AP, AP_horizontal, COSTAL …) and Labels, a list as Python writes it, with blanks inside of the quotes and empty names:
`['pleural effusion', ' kyphosis', '']`. The images (16-bit PNG) are in the folder or in the numbered folders. About a
quarter of the reports were labelled by physicians, the others by a network. There is no official split. For the challenge
CXR-LT 2026, which has labels of its own, see `padchest_lt`.

Interpretation of a label list (a choice of cxrlt): a named label is 1, one that is not named is 0. Three names are not
findings: `suboptimal study` is left out; `unchanged` (the report only refers to an earlier one) and `exclude` (the report was
not usable) are left out too, and all labels that such a row does not name are unknown. A row without a list is unknown for
all labels. `normal` is an ordinary label. Names are compared in lower case.

Not certain: whether images whose DICOM was MONOCHROME1 (given by a column) are stored inverted; none is inverted back, and a
warning counts them.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.source_table import BLANK
from cxrlt_cli.console import warn
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
from cxrlt_cli.sources.padchest_lt import picture_files, years_of
from cxrlt_cli.sources.text_labels import labels_of_texts

_NO_FINDINGS = ("exclude", "suboptimal study", "unchanged")
_UNKNOWN_BESIDE = ("exclude", "unchanged")


def read_padchest(folder: Path, labels: Path | None) -> Listing:
    """Lists the images of PadChest.

    Args:
        folder: holds the PNGs, or numbered folders of them.
        labels: PadChest's table or its folder; None if it is in `folder`.

    Raises:
        UserError: no table or several, a missing column, an image twice, a label list that is damaged.
    """
    require_folder(folder)
    path = only_table(folder, labels, "PADCHEST_chest_x_ray_images_labels*")
    table = read_text_table(path)
    require(table, ["ImageID", "PatientID", "StudyDate_DICOM", "Labels"], path)
    for name in ("ImageID", "PatientID"):
        refuse_blank(table[name], path)
    refuse_duplicates(table["ImageID"], path)
    files, unlisted = picture_files(folder, table["ImageID"])
    born = years_of(optional(table, "PatientBirth"))
    columns = {
        "image_id": table["ImageID"],
        "patient_id": table["PatientID"],
        "study_id": optional(table, "StudyID"),
        "view": optional(table, "Projection"),
        "sex": optional(table, "PatientSex_DICOM"),
        "age": ages((years_of(table["StudyDate_DICOM"]) - born).rename("age"), path),
        "file": files,
    }
    inverted = int((optional(table, "PhotometricInterpretation_DICOM") == "MONOCHROME1").sum())
    if inverted:
        warn(f"{path}: the DICOM files of {inverted} images were MONOCHROME1; see whether they are inverted")
    return Listing(source_table("padchest", columns, *_labels(table["Labels"], path)), folder, [path], unlisted)


def _labels(column: pd.Series, path: Path) -> tuple[list[str], np.ndarray]:
    """The findings, and (N, C) int8 of them."""
    classes, labels = labels_of_texts(column.str.lower(), "|", path)
    unsure = (labels[:, [name in _UNKNOWN_BESIDE for name in classes]] == 1).any(axis=1)
    labels[unsure] = np.where(labels[unsure] == 1, 1, BLANK)
    kept = [index for index, name in enumerate(classes) if name not in _NO_FINDINGS]
    return [classes[index] for index in kept], labels[:, kept]
