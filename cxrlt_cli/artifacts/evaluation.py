"""`evaluations/NAME/`: `metrics.json` for programs; `per_class.csv`, `decisions.csv` and others for spreadsheets."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.csv_writer import write_csv
from cxrlt_cli.artifacts.files import InputFile
from cxrlt_cli.artifacts.folder_swap import replacing_folder
from cxrlt_cli.artifacts.json_files import read_figures, without_nan, write_json
from cxrlt_cli.artifacts.parsing import Row, parse, require_numbers
from cxrlt_cli.artifacts.predictions import AppliedCalibration
from cxrlt_cli.artifacts.provenance import Provenance, provenance_of
from cxrlt_cli.paths import is_folder

FORMAT, VERSION = "cxrlt evaluation", 1
_FILES = frozenset({"metrics.json", "per_class.csv", "decisions.csv", "subgroups.csv", "readers.csv", "reference.csv"})


@dataclass(frozen=True)
class EvaluationTables:
    """Rows of an evaluation; the rows of a table have the same columns.

    Attributes:
        per_class: a row a class.
        decisions: a row a class and threshold.
        subgroups: a row a subgroup and class; empty where none were asked for.
        readers: a row a class and reader; empty without readers.
        reference: a row a class, against the dataset's labels and against a reference; empty without one.
    """

    per_class: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    subgroups: list[dict[str, Any]]
    readers: list[dict[str, Any]] = field(default_factory=list)
    reference: list[dict[str, Any]] = field(default_factory=list)


def write_evaluation(folder: Path, metrics: dict[str, Any], tables: EvaluationTables) -> None:
    """Writes an evaluation whose lock is held. Undefined figures (NaN) become null in JSON and an empty cell in CSV."""
    rows = {name: found for name, found in vars(tables).items() if found}
    content = {"format": FORMAT, "version": VERSION, **metrics, **rows}
    with replacing_folder(folder, _FILES.__contains__) as aside:
        for name, found in rows.items():
            write_csv(aside / f"{name}.csv", list(found[0]), (row.values() for row in found))
        write_json(aside / "metrics.json", without_nan(content))


def read_evaluation(path: Path) -> dict[str, Any]:
    """Reads an evaluation from its folder or its `metrics.json`.

    Raises:
        UserError: not there, not JSON, not an evaluation, or a part of one.
    """
    file = path / "metrics.json" if is_folder(path) else path
    content = read_figures(file, FORMAT, VERSION, "cxrlt evaluate")
    parse(_Saved, content, file, "make it again with: cxrlt evaluate --overwrite")
    return content


def evaluated_files(evaluation: dict[str, Any]) -> list[InputFile]:
    """The predictions, the dataset, and what else an evaluation was made from."""
    return provenance_of(evaluation).inputs


def applied_calibration(evaluation: dict[str, Any]) -> AppliedCalibration | None:
    """The calibration of the scores that were evaluated; None where they are those of the networks."""
    where = Path("the evaluation")
    return parse(_Predictions, evaluation["predictions"], where, "evaluate again").calibration


@dataclass(frozen=True)
class MeanAP:
    """The main number of an evaluation.

    Attributes:
        evaluation: name of its folder.
        runs: whose scores were evaluated; empty for scores of another tool.
        split: whose images.
        value: mAP, within 0 ... 1; None where it is undefined.
        low: end of its 95 % interval; None without one.
        high: the other end.
        time: of the evaluation, UTC, ISO 8601.
    """

    evaluation: str
    runs: list[str]
    split: str
    value: float | None
    low: float | None
    high: float | None
    time: str


def read_mean_ap(folder: Path) -> MeanAP:
    """Reads the mAP of an evaluation. Raises UserError as `read_evaluation` does."""
    found = read_evaluation(folder)
    runs = parse(_Predictions, found["predictions"], folder, "evaluate again").runs
    value, low, high = (found.get(name) for name in ("mAP", "mAP_low", "mAP_high"))
    return MeanAP(folder.name, runs, found["split"], value, low, high, provenance_of(found).time)


@dataclass(frozen=True)
class EvaluatedModel:
    """The scores that were evaluated, and the thresholds chosen on them.

    Attributes:
        runs: names of the runs that scored.
        views: number of views merged.
        calibration: name of the applied calibration; empty for none.
        thresholds: class -> probability, for the best F1; a class without one is left out.
    """

    runs: list[str]
    views: int
    calibration: str
    thresholds: dict[str, float]


def evaluated_model(evaluation: dict[str, Any]) -> EvaluatedModel:
    """What was evaluated, and the thresholds of `decisions`."""
    found = parse(_Predictions, evaluation["predictions"], Path("the evaluation"), "evaluate again")
    rows = [row for row in evaluation.get("decisions", []) if row["rule"] == "f1" and row["threshold"] is not None]
    thresholds = {str(row["class"]): float(row["threshold"]) for row in rows}
    return EvaluatedModel(found.runs, found.views, found.calibration.name if found.calibration else "", thresholds)


@dataclass(frozen=True)
class ReaderStudy:
    """Readers beside the network; their figures are the rows of `readers`.

    Attributes:
        file: the readers' table.
        reference: what counted as right.
        readers: their names.
        in_reference: those that the reference was made from.
        images: that a reader read and the reference knows.
        patients: of these images.
        network_ahead: in how many pairs of class and reader the network has the higher sensitivity.
        curves: a row a class: `class`, `ap`, `auroc`, `positives`, `images`, and `roc` and `pr`, each two lists x and y.
    """

    file: str
    reference: str
    readers: list[str]
    in_reference: list[str]
    images: int
    patients: int
    network_ahead: dict[str, int]
    curves: list[dict[str, Any]]


def reader_study(evaluation: dict[str, Any]) -> ReaderStudy | None:
    """The readers of an evaluation; None where it has none."""
    found = evaluation.get("reader_study")
    return ReaderStudy(**found) if found else None


@dataclass(frozen=True)
class _Predictions:
    """The predictions that were evaluated."""

    name: str
    runs: list[str] = field(default_factory=list)
    views: int = 1
    calibration: AppliedCalibration | None = None


@dataclass(frozen=True)
class _Saved:
    """What the file must hold for all that read it."""

    split: str
    per: str
    images: int
    patients: int
    per_class: list[Row]
    groups: dict[str, Row]
    thresholds: dict[str, Any]
    predictions: _Predictions
    bootstrap: dict[str, Any]
    provenance: Provenance
    undefined: list[str] = field(default_factory=list)
    undefined_auroc: list[str] = field(default_factory=list)
    decisions: list[Row] = field(default_factory=list)
    subgroups: list[Row] = field(default_factory=list)
    readers: list[Row] = field(default_factory=list)
    reference: list[Row] = field(default_factory=list)
    reader_study: ReaderStudy | None = None
    reference_gap: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if len(self.provenance.inputs) < 2:
            raise ValueError("provenance.inputs does not name predictions and dataset")
        if not self.per_class:
            raise ValueError("per_class is empty")
        for number, row in enumerate(self.per_class):
            require_numbers(row, ("ap", "auroc"), f"per_class[{number}]")
            if not isinstance(row.get("class"), str):
                raise ValueError(f"per_class[{number}] has no class")
