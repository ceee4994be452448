"""`studies/NAME/`: `study.json` for programs, `table.csv` and `per_class.csv` for spreadsheets."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.files import replacing
from cxrlt_cli.errors import UserError
from cxrlt_cli.paths import exists

FORMAT, VERSION = "cxrlt study", 1


def write_study(folder: Path, content: dict[str, Any]) -> None:
    """Writes a study, whose `means` and `per_class` are rows. Undefined figures (NaN) become null and empty cells."""
    for name, rows in (("table.csv", content["means"]), ("per_class.csv", content["per_class"])):
        with replacing(folder / name) as aside, aside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _columns(rows), restval="")
            writer.writeheader()
            writer.writerows(_plain(rows))
    with replacing(folder / "study.json") as aside:  # last: where it stands, the study is whole
        text = json.dumps({"format": FORMAT, "version": VERSION, **_plain(content)}, indent=1, allow_nan=False)
        aside.write_text(text + "\n", encoding="utf-8")


def read_study(folder: Path) -> dict[str, Any] | None:
    """The content of a study, None where there is none. Raises UserError where it is damaged or something else."""
    path = folder / "study.json"
    if not exists(path):
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON: {error}", "give the study another --name, or --overwrite") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != VERSION:
        raise UserError(f"{path} is not {FORMAT} of version {VERSION}", "give the study another --name, or --overwrite")
    return content


def _columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):  # numpy's float64 too
        return None if math.isnan(value) else float(value)
    return value
