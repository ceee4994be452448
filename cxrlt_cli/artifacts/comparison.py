"""`comparisons/NAME/`: `comparison.json` for programs, `differences.csv` for spreadsheets."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.csv_writer import write_csv
from cxrlt_cli.artifacts.folder_swap import replacing_folder
from cxrlt_cli.artifacts.json_files import read_figures, without_nan, write_json
from cxrlt_cli.artifacts.parsing import Row, parse, require_numbers
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.paths import is_folder

FORMAT, VERSION = "cxrlt comparison", 1
_FILES = frozenset({"comparison.json", "differences.csv"})
_COLUMNS = [
    "base", "other", "figure", "group", "base_value", "value", "difference", "low", "high", "p", "p_holm", "positive_patients",
    "note",
]  # fmt: skip


def write_comparison(folder: Path, content: dict[str, Any]) -> None:
    """Writes a comparison whose lock is held. Undefined figures (NaN) become null in JSON and an empty cell in CSV."""
    whole = {"format": FORMAT, "version": VERSION, **content}
    with replacing_folder(folder, _FILES.__contains__) as aside:
        rows = [
            {**row, "base": content["base"], "other": other["name"], "base_value": row["base"]}
            for other in content["others"]
            for row in (*other["means"], *other["classes"])
        ]
        write_csv(aside / "differences.csv", _COLUMNS, ([row.get(name) for name in _COLUMNS] for row in rows))
        write_json(aside / "comparison.json", without_nan(whole))


def read_comparison(path: Path) -> dict[str, Any]:
    """Reads a comparison from its folder or its `comparison.json`.

    Raises:
        UserError: not there, not JSON, or not a comparison.
    """
    file = path / "comparison.json" if is_folder(path) else path
    command = "cxrlt compare --name NAME"
    content = read_figures(file, FORMAT, VERSION, command)
    parse(_Saved, content, file, f"make it again with: {command} --overwrite")
    return content


def differing_options(comparison: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Option -> entry -> its value, of the options in which the compared runs differ."""
    found: dict[str, dict[str, Any]] = comparison["options"]
    return found


@dataclass(frozen=True)
class _Other:
    """What was compared with the base: a row a mean, of which the first is mAP, and a row a class."""

    name: str
    means: list[Row]
    classes: list[Row]

    def __post_init__(self) -> None:
        if not self.means:
            raise ValueError(f"{self.name} has no means")
        for number, row in enumerate(self.means):
            require_numbers(row, ("difference", "low", "high", "p"), f"means[{number}]")


@dataclass(frozen=True)
class _Saved:
    """What the file must hold."""

    split: str
    images: int
    patients: int
    base: str
    others: list[_Other]
    provenance: Provenance = field(default_factory=Provenance)
