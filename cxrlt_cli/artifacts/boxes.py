"""Boxes around findings, as a CSV that others wrote; and what maps made of them, `localisation.json` with a CSV beside."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.csv_rows import CsvRow, csv_rows
from cxrlt_cli.artifacts.csv_writer import write_csv
from cxrlt_cli.artifacts.json_files import without_nan, write_json
from cxrlt_cli.errors import UserError, listed

FORMAT, VERSION = "cxrlt localisation", 1
#: Column -> the names under which it is found: ours, and those of NIH's BBox_List_2017.csv.
_COLUMNS = {
    "image": ("image_id", "image", "Image Index"),
    "label": ("class", "Finding Label"),
    "x": ("x", "Bbox [x"),
    "y": ("y",),
    "w": ("w",),
    "h": ("h", "h]"),
}
_SIZE = ("width", "height")
_HINT = "columns: image_id, class, x, y, w, h (and width, height of the original image); or NIH's BBox_List_2017.csv"


@dataclass(frozen=True)
class LabelledBox:
    """A box around a finding.

    Attributes:
        image: image id.
        label: the finding, as the file calls it.
        left, top, right, bottom: px of the original image.
        size: width and height of the original image, px; None where the file does not say.
        place: its row, for messages.
    """

    image: str
    label: str
    left: float
    top: float
    right: float
    bottom: float
    size: tuple[float, float] | None
    place: str


def read_boxes(path: Path) -> list[LabelledBox]:
    """Reads a CSV of boxes.

    Raises:
        UserError: not there, not a CSV, without a column or a row, or a value that is no number or no size (with its row).
    """
    rows = csv_rows(path, _HINT)
    header = next(rows, CsvRow([], 1, 1)).cells
    place = {name: next((header.index(one) for one in names if one in header), -1) for name, names in _COLUMNS.items()}
    absent = [_COLUMNS[name][0] for name, at in place.items() if at < 0]
    if absent:
        raise UserError(f"{path} lacks the columns {listed(absent)}", _HINT)
    sizes = [header.index(name) for name in _SIZE if name in header]
    found = list(_boxes(path, rows, place, sizes if len(sizes) == len(_SIZE) else []))
    if not found:
        raise UserError(f"{path} has no boxes", _HINT)
    return found


def _boxes(path: Path, rows: Iterator[CsvRow], place: dict[str, int], sizes: list[int]) -> Iterator[LabelledBox]:
    for row in rows:
        try:
            x, y, w, h = (_number(row.cells[place[name]]) for name in ("x", "y", "w", "h"))
            size = tuple(_number(row.cells[at]) for at in sizes)
        except ValueError as error:
            raise UserError(f"{path}, {row.place}: {error}", _HINT) from error
        if w <= 0 or h <= 0:
            raise UserError(f"{path}, {row.place}: a box of {w:g} x {h:g} px", "width and height are above 0")
        image, label = row.cells[place["image"]].strip(), row.cells[place["label"]].strip()
        yield LabelledBox(image, label, x, y, x + w, y + h, (size[0], size[1]) if size else None, row.place)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return value


def write_localisation(
    folder: Path, content: dict[str, Any], rows: list[dict[str, Any]], findings: list[dict[str, Any]]
) -> None:
    """Writes `localisation.json`, and as CSV its rows and those of each finding, to a folder that is not yet in place.

    Args:
        folder: where to write.
        content: what the JSON holds beside format, version and rows.
        rows: a row a map and class.
        findings: a row a map and finding of an image.
    """
    write_json(folder / "localisation.json", without_nan({"format": FORMAT, "version": VERSION, **content, "rows": rows}))
    for name, table in (("localisation.csv", rows), ("findings.csv", findings)):
        write_csv(folder / name, list(table[0]), (row.values() for row in table))
