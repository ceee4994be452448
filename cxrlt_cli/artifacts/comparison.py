"""`comparisons/NAME/`: `comparison.json` for programs, `differences.csv` for spreadsheets."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.csv_writer import write_csv
from cxrlt_cli.artifacts.evaluation import Resamples
from cxrlt_cli.artifacts.folder_swap import replacing_folder
from cxrlt_cli.artifacts.json_files import read_figures, write_json
from cxrlt_cli.artifacts.parsing import Row, parse, plain, require_numbers
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.paths import is_folder

FORMAT, VERSION = "cxrlt comparison", 1
_FILES = frozenset({"comparison.json", "differences.csv"})
_COLUMNS = [
    "base", "other", "figure", "group", "base_value", "value", "difference", "low", "high", "p", "p_holm", "positive_patients",
    "note",
]  # fmt: skip


@dataclass(frozen=True)
class ComparedScorer:
    """Scores that were compared with the base.

    Attributes:
        name: of the scores.
        means: a row a mean; the first is mAP.
        classes: a row a class.
    """

    name: str
    means: list[Row]
    classes: list[Row]

    def __post_init__(self) -> None:
        if not self.means:
            raise ValueError(f"{self.name} has no means")
        for number, row in enumerate(self.means):
            require_numbers(row, ("difference", "low", "high", "p"), f"means[{number}]")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Paired differences of scores of the same images; an undefined metric is None.

    Attributes:
        split: of the images.
        images: number of images.
        patients: of these images.
        base: name of the scores that the others are compared with.
        options: option -> name -> its value, of the options in which the runs differ.
        bootstrap: how intervals were computed.
        permutations: for the p-values; None in comparisons of version 0.2.
        group_rule: how classes are grouped by their training prevalence.
        undefined: classes without a positive.
        others: an entry for each of the other scores.
        provenance: inputs are the scores, then the dataset.
    """

    split: str
    images: int
    patients: int
    base: str
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    bootstrap: Resamples
    permutations: int | None = None
    group_rule: str = ""
    undefined: list[str] = field(default_factory=list)
    others: list[ComparedScorer]
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def content(self) -> dict[str, Any]:
        """What the file holds."""
        return {"format": FORMAT, "version": VERSION, **plain(self)}


def write_comparison(folder: Path, comparison: Comparison) -> None:
    """Writes a comparison whose lock is held. Undefined metrics are null in JSON and an empty cell in CSV."""
    with replacing_folder(folder, _FILES.__contains__) as aside:
        rows = [
            {**row, "base": comparison.base, "other": other.name, "base_value": row["base"]}
            for other in comparison.others
            for row in (*other.means, *other.classes)
        ]
        write_csv(aside / "differences.csv", _COLUMNS, ([row.get(name) for name in _COLUMNS] for row in rows))
        write_json(aside / "comparison.json", comparison.content)


def read_comparison(path: Path) -> Comparison:
    """Reads a comparison from its folder or its `comparison.json`.

    Raises:
        UserError: not there, not JSON, not a comparison, or damaged.
    """
    file = path / "comparison.json" if is_folder(path) else path
    command = "cxrlt compare --name NAME"
    content = read_figures(file, FORMAT, VERSION, command)
    return parse(Comparison, content, file, f"make it again with: {command} --overwrite")
