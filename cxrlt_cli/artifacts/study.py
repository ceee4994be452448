"""`studies/NAME/`: `study.json` for programs, `table.csv` and `per_class.csv` for spreadsheets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.csv_writer import write_csv
from cxrlt_cli.artifacts.folder_swap import replacing_folder
from cxrlt_cli.artifacts.json_files import read_figures, without_nan, write_json
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
    with replacing_folder(folder, _FILES.__contains__) as aside:
        for name, rows in (("table.csv", content["means"]), ("per_class.csv", content["per_class"])):
            columns = list(dict.fromkeys(key for row in rows for key in row))
            write_csv(aside / name, columns, ([row.get(column) for column in columns] for row in rows))
        for form in ("png", "svg"):
            draw(aside / f"figure.{form}", form)
        write_json(aside / "study.json", without_nan({"format": FORMAT, "version": VERSION, **content}))


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
