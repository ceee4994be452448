"""`studies/NAME/`: `study.json` for programs, `table.csv` and `per_class.csv` for spreadsheets."""

import csv
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.folder_swap import replacing_folder
from cxrlt_cli.artifacts.json_files import read_figures
from cxrlt_cli.artifacts.parsing import Row, parse
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.paths import exists

FORMAT, VERSION = "cxrlt study", 1
_FILES = frozenset({"study.json", "table.csv", "per_class.csv", "figure.png", "figure.svg"})


def write_study(folder: Path, content: dict[str, Any], draw: Callable[[Path, str], None]) -> None:
    """Writes a study whose lock is held. Undefined figures (NaN) become null and empty cells.

    Args:
        folder: of the study.
        content: its `means` and `per_class` are rows.
        draw: draws the figure to a path, as png or svg.
    """
    text = json.dumps({"format": FORMAT, "version": VERSION, **_plain(content)}, indent=1, allow_nan=False)
    with replacing_folder(folder, _FILES.__contains__) as aside:
        for name, rows in (("table.csv", content["means"]), ("per_class.csv", content["per_class"])):
            with (aside / name).open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, _columns(rows), restval="")
                writer.writeheader()
                writer.writerows(_plain(rows))
        for form in ("png", "svg"):
            draw(aside / f"figure.{form}", form)
        (aside / "study.json").write_text(text + "\n", encoding="utf-8")


def read_study(folder: Path) -> dict[str, Any] | None:
    """The content of a study, None where there is none. Raises UserError where it is damaged or something else."""
    path = folder / "study.json"
    if not exists(path):
        return None
    content = read_figures(path, FORMAT, VERSION, "cxrlt study, with another --name or --overwrite")
    parse(_Saved, content, path, "give the study another --name, or --overwrite")
    return content


@dataclass(frozen=True)
class _Saved:
    """What the file must hold."""

    variants: dict[str, dict[str, Any]]
    means: list[Row]
    per_class: list[Row]
    plan: str = ""
    provenance: Provenance = field(default_factory=Provenance)


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
