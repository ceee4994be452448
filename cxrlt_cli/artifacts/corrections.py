"""`corrections/NAME/`: labels to review as `corrections.csv`, a page to review them, and what found them.

The CSV goes round: the page saves it again with the column `review` filled in, and `merge --corrections` reads that.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from cxrlt_cli.artifacts.csv_rows import CsvRow, csv_rows
from cxrlt_cli.artifacts.csv_writer import csv_text
from cxrlt_cli.artifacts.folder_swap import replacing_folder
from cxrlt_cli.artifacts.json_files import read_figures, without_nan
from cxrlt_cli.artifacts.parsing import Row, parse
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_folder

FORMAT, VERSION = "cxrlt corrections", 1
_FILES = frozenset({"corrections.json", "corrections.csv", "review.html"})
Review = Literal["", "keep", "flip", "unsure"]
#: Of `corrections.csv`. A file that is written by hand needs neither `score` nor `rank`.
COLUMNS = ["image", "class", "given", "suggested", "score", "rank", "review"]
_NEEDED = [name for name in COLUMNS if name not in ("score", "rank")]


@dataclass(frozen=True)
class Correction:
    """One label, and what a reviewer made of it.

    Attributes:
        image: image id.
        label: class name.
        given: the label as it is, 1 or 0.
        suggested: the other one.
        score: probability of the given label, within 0 … 1; low means suspicious.
        rank: from 1, the most suspicious.
        review: keep, flip or unsure; empty where it was not reviewed.
    """

    image: str
    label: str
    given: int
    suggested: int
    score: float
    rank: int
    review: Review = ""


def as_csv(corrections: list[Correction]) -> str:
    """The text of `corrections.csv`."""
    return csv_text(
        COLUMNS,
        ([one.image, one.label, one.given, one.suggested, f"{one.score:.6g}", one.rank, one.review] for one in corrections),
    )


def write_corrections(folder: Path, content: dict[str, Any], rows: str, page: str | None) -> None:
    """Writes the folder, whose lock is held.

    Args:
        folder: the artifact.
        content: what `corrections.json` holds beside format and version.
        rows: the text of `corrections.csv`.
        page: of `review.html`; None for no page.
    """
    text = json.dumps(without_nan({"format": FORMAT, "version": VERSION, **content}), indent=1, allow_nan=False) + "\n"
    files = {"corrections.json": text, "corrections.csv": rows, **({} if page is None else {"review.html": page})}
    with replacing_folder(folder, _FILES.__contains__) as aside:
        for name, lines in files.items():
            (aside / name).write_text(lines, encoding="utf-8", newline="")


@dataclass(frozen=True)
class CorrectionsSummary:
    """What `corrections.json` holds.

    Attributes:
        split: val, test, all, or train, whose images were scored out of fold or by another tool.
        images: that were scored.
        labels: known labels that were ranked.
        contradicted: of them, by the thresholds.
        listed: rows of `corrections.csv`.
        probabilities: one-scale or raw.
        runs: that scored.
        classes: a row a class: `class`, `labels`, `positives`, both thresholds, contradicted labels of each side.
        provenance: see there.
    """

    split: str
    images: int
    labels: int
    contradicted: int
    listed: int
    probabilities: str
    runs: list[str]
    classes: list[Row]
    provenance: Provenance = field(default_factory=Provenance)


def read_corrections_summary(path: Path) -> CorrectionsSummary:
    """Reads `corrections.json`, by its own path or its folder's. Raises UserError where it is not there or damaged."""
    file = path / "corrections.json" if is_folder(path) else path
    content = read_figures(file, FORMAT, VERSION, "cxrlt clean")
    return parse(CorrectionsSummary, content, file, "make it again with: cxrlt clean --overwrite")


def summary_content(summary: CorrectionsSummary, provenance: Provenance) -> dict[str, Any]:
    """A summary as JSON holds it, with the provenance of `record`."""
    return asdict(summary) | {"provenance": provenance}


def read_corrections(path: Path) -> list[Correction]:
    """Reads a reviewed `corrections.csv`.

    Raises:
        UserError: not there, not a CSV, a column is absent, a value that is none (with its row), or a label twice.
    """
    rows = csv_rows(path, _HINT)
    header = next(rows, CsvRow([], 1, 1)).cells
    absent = [name for name in _NEEDED if name not in header]
    if absent:
        raise UserError(f"{path} lacks the columns {listed(absent)}", _HINT)
    found = list(_corrections(path, header, rows))
    cells: set[tuple[str, str]] = set()
    for one in found:
        if (one.image, one.label) in cells:
            raise UserError(f"{path} has {one.label} of {one.image} twice", "leave one of the rows out")
        cells.add((one.image, one.label))
    return found


_HINT = "name a file that the page of `cxrlt clean` saved, or its corrections.csv with the column review filled in"


def _corrections(path: Path, header: list[str], rows: Iterator[CsvRow]) -> Iterator[Correction]:
    for number, row in enumerate(rows, start=1):
        cell = dict(zip(header, (text.strip() for text in row.cells), strict=True))
        review = cell["review"].lower()
        if review not in get_args(Review):
            text = f"{path}, {row.place}: review is {cell['review']!r}"
            raise UserError(text, "write keep, flip or unsure; or leave it empty for a label that was not reviewed")
        sides = (cell["given"], cell["suggested"])
        if sides not in (("0", "1"), ("1", "0")):
            text = f"{path}, {row.place}: given is {sides[0]!r}, suggested {sides[1]!r}"
            raise UserError(text, "one of them is 0, the other 1; to keep a label, write keep in its column review")
        yield Correction(cell["image"], cell["class"], int(sides[0]), int(sides[1]), float("nan"), number, review)  # type: ignore[arg-type]
