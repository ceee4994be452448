"""`evaluations/NAME/`: `metrics.json` for programs, `per_class.csv` and `subgroups.csv` for spreadsheets."""

import csv
import io
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.files import replacing
from cxrlt_cli.artifacts.json_files import read_figures, without_nan
from cxrlt_cli.errors import UserError

FORMAT, VERSION = "cxrlt evaluation", 1


def write_evaluation(
    folder: Path, metrics: dict[str, Any], per_class: list[dict[str, Any]], subgroups: list[dict[str, Any]]
) -> None:
    """Writes an evaluation. Undefined figures (NaN) become null in JSON and an empty cell in CSV."""
    content = {"format": FORMAT, "version": VERSION, **metrics, "per_class": per_class}
    if subgroups:
        content["subgroups"] = subgroups
    text = json.dumps(without_nan(content), indent=1, allow_nan=False) + "\n"
    tables = {"per_class.csv": _csv(per_class), **({"subgroups.csv": _csv(subgroups)} if subgroups else {})}
    with ExitStack() as written:  # all or none are put in place, in the reverse of this order
        for name, lines in {"metrics.json": text, **tables}.items():
            written.enter_context(replacing(folder / name)).write_text(lines, encoding="utf-8", newline="")
    if not subgroups:
        (folder / "subgroups.csv").unlink(missing_ok=True)  # of the evaluation that was replaced


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
    file = path / "metrics.json" if path.is_dir() else path
    content = read_figures(file, FORMAT, VERSION, "cxrlt evaluate")
    absent = [name for name in _PARTS if name not in content]
    if absent:
        raise UserError(f"{file} lacks {', '.join(absent)}", "make it again with: cxrlt evaluate --overwrite")
    return content


_PARTS = ("split", "per", "per_class", "groups", "thresholds", "predictions", "bootstrap", "provenance")
