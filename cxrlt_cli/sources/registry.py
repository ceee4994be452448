"""Chooses the reader of a source."""

from pathlib import Path

from cxrlt_cli.labels.spaces import built_in_spaces, read_space
from cxrlt_cli.paths import is_file
from cxrlt_cli.sources.chestxray14 import read_chestxray14
from cxrlt_cli.sources.chexpert import read_chexpert
from cxrlt_cli.sources.google_nih import read_google_nih
from cxrlt_cli.sources.listing import Listing
from cxrlt_cli.sources.mimic_cxr_lt import read_mimic_cxr_lt
from cxrlt_cli.sources.padchest import read_padchest
from cxrlt_cli.sources.padchest_lt import read_padchest_lt
from cxrlt_cli.sources.table import TableColumns, read_table_source
from cxrlt_cli.sources.vindr_cxr import read_vindr_cxr

_PUBLISHED = {
    "mimic-cxr-lt": read_mimic_cxr_lt,
    "chestxray14": read_chestxray14,
    "chexpert": read_chexpert,
    "google-nih": read_google_nih,
    "padchest": read_padchest,
    "padchest-lt": read_padchest_lt,
    "vindr-cxr": read_vindr_cxr,
}


def read_source(kind: str, path: Path, labels: Path | None, images: Path | None, columns: TableColumns) -> Listing:
    """Lists the images of a source.

    Args:
        kind: of the source, such as `mimic-cxr-lt` or `table`.
        path: its folder; the file of a table.
        labels: the label table of a published source, if it is not in its folder.
        images: the folder that the paths of a table are relative to; None for the folder of the table.
        columns: of a table.

    Raises:
        UserError: from the reader.
    """
    if kind in _PUBLISHED:
        return _PUBLISHED[kind](path, labels)
    return read_table_source(path, images, columns)


def label_columns(text: str) -> tuple[str, ...]:
    """Column names, given one by one or as a label space."""
    if text in built_in_spaces() or is_file(Path(text)):
        return tuple(read_space(text))
    return tuple(name.strip() for name in text.split(",") if name.strip())
