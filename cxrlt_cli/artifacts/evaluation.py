"""`evaluations/NAME/`: `metrics.json` for programs, `per_class.csv` and `subgroups.csv` for spreadsheets."""

import csv
import io
import json
import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.files import replacing
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


def read_figures(file: Path, format: str, version: int, made_by: str) -> dict[str, Any]:
    """Reads a JSON artifact of figures.

    Args:
        file: the JSON file.
        format: what it must say of itself.
        version: the version that this code reads.
        made_by: the command that makes such a file, for the hint.

    Raises:
        UserError: not there, not JSON, or of another format or version.
    """
    hint = f"make it with: {made_by}"
    if not file.is_file():
        raise UserError(f"{file} is not there", hint)
    try:
        content: dict[str, Any] = json.loads(file.read_text())
    except (ValueError, OSError) as error:
        raise UserError(f"{file} cannot be read as JSON: {error}", hint) from error
    if not isinstance(content, dict) or content.get("format") != format or content.get("version") != version:
        raise UserError(f"{file} is not {format} of version {version}", hint)
    return content


def without_nan(value: Any) -> Any:
    """The same with None for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
