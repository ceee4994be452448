"""`evaluations/NAME/`: `metrics.json` for programs; `per_class.csv`, `decisions.csv`, `subgroups.csv` for spreadsheets."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.folder_swap import replacing_folder
from cxrlt_cli.artifacts.json_files import read_figures, without_nan
from cxrlt_cli.errors import UserError
from cxrlt_cli.paths import is_folder

FORMAT, VERSION = "cxrlt evaluation", 1
_FILES = frozenset({"metrics.json", "per_class.csv", "decisions.csv", "subgroups.csv"})


@dataclass(frozen=True)
class EvaluationTables:
    """Rows of an evaluation; the rows of a table have the same columns.

    Attributes:
        per_class: a row a class.
        decisions: a row a class and threshold.
        subgroups: a row a subgroup and class; empty where none were asked for.
    """

    per_class: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    subgroups: list[dict[str, Any]]


def write_evaluation(folder: Path, metrics: dict[str, Any], tables: EvaluationTables) -> None:
    """Writes an evaluation whose lock is held. Undefined figures (NaN) become null in JSON and an empty cell in CSV."""
    rows = {name: found for name, found in vars(tables).items() if found}
    content = {"format": FORMAT, "version": VERSION, **metrics, **rows}
    text = json.dumps(without_nan(content), indent=1, allow_nan=False) + "\n"
    files = {"metrics.json": text, **{f"{name}.csv": _csv(found) for name, found in rows.items()}}
    with replacing_folder(folder, _FILES.__contains__) as aside:
        for name, lines in files.items():
            (aside / name).write_text(lines, encoding="utf-8", newline="")


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(without_nan(rows))
    return text.getvalue()


def read_evaluation(path: Path) -> dict[str, Any]:
    """Reads an evaluation from its folder or its `metrics.json`.

    Raises:
        UserError: not there, not JSON, not an evaluation, or a part of one.
    """
    file = path / "metrics.json" if is_folder(path) else path
    content = read_figures(file, FORMAT, VERSION, "cxrlt evaluate")
    absent = [name for name in _PARTS if name not in content]
    if absent:
        raise UserError(f"{file} lacks {', '.join(absent)}", "make it again with: cxrlt evaluate --overwrite")
    return content


_PARTS = ("split", "per", "per_class", "groups", "thresholds", "predictions", "bootstrap", "provenance")
