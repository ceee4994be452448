"""`evaluations/NAME/`: `metrics.json` for programs; `per_class.csv`, `decisions.csv` and others for spreadsheets."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.csv_writer import write_csv
from cxrlt_cli.artifacts.folder_swap import replacing_folder
from cxrlt_cli.artifacts.json_files import read_figures, without_nan, write_json
from cxrlt_cli.artifacts.parsing import Row, parse, plain, require_numbers
from cxrlt_cli.artifacts.predictions import AppliedCalibration
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.paths import is_folder

FORMAT, VERSION = "cxrlt evaluation", 1
_TABLES = ("per_class", "decisions", "subgroups", "readers", "reference")
_FILES = frozenset({"metrics.json", *(f"{name}.csv" for name in _TABLES)})


@dataclass(frozen=True)
class ThresholdChoice:
    """How the decision thresholds were chosen.

    Attributes:
        chosen_on: the images, as text.
        held_out: whether these are other images than those evaluated.
        specificity: at which the sensitivity is reported.
        none_for: classes without a threshold: no image is called positive.
    """

    chosen_on: str
    held_out: bool
    specificity: float
    none_for: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Resamples:
    """How intervals were computed: number of resamples, of what (patients or images), their seed, and the kind of interval."""

    resamples: int
    of: str
    seed: int
    interval: str = ""


@dataclass(frozen=True)
class EvaluatedPredictions:
    """The predictions that were evaluated.

    Attributes:
        name: of the file.
        runs: that scored; empty for scores of another tool.
        split: whose images.
        fold: of whose split the images are; None for the splits of the dataset.
        out_of_fold: whether each image was scored by runs that did not train on its patient.
        views: that were merged.
        merge: how views and runs were merged.
        calibration: None where the scores are those of the networks.
    """

    name: str
    runs: list[str] = field(default_factory=list)
    split: str = ""
    fold: int | None = None
    out_of_fold: bool = False
    views: int = 1
    merge: str = "none"
    calibration: AppliedCalibration | None = None


@dataclass(frozen=True)
class ReaderStudy:
    """Readers compared with the network; their metrics are the rows of `readers`.

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


@dataclass(frozen=True)
class ReferenceGap:
    """The same scores against the dataset's labels and against a reference; the metrics are the rows of `reference`."""

    reference: str
    images: int
    patients: int


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What `metrics.json` holds. Undefined metrics are NaN before it is written, and None when it is read.

    Attributes:
        split: train, val, test or all.
        images: number of images.
        patients: of these images.
        per: `image`, or `study` and how its images are merged.
        studies: number of studies; None where a row is an image.
        metrics: means over all classes, micro and weighted averages, with their intervals: mAP, mAP_low, mAP_high ...
        undefined: classes without a positive.
        undefined_auroc: classes whose AUROC is undefined.
        no_interval: class -> why its AP and AUROC have no interval; None in evaluations of version 0.2.
        undefined_in_means: leave-out, or zero: AP is 0 for a class without a positive.
        group_rule: how classes are grouped by their training prevalence.
        groups: head, medium, tail -> the same means as in `metrics`.
        seen_unseen: seen, unseen, harmonic -> means; empty where no class is held out.
        bootstrap: how intervals were computed.
        thresholds: how thresholds were chosen.
        predictions: what was evaluated.
        reader_study: None without readers.
        reference_gap: None without a reference.
        provenance: inputs are the predictions, the dataset, then other files.
        per_class: a row a class.
        decisions: a row a class and threshold; empty in evaluations of version 0.2.
        subgroups: a row a subgroup and class; empty where none were asked for.
        readers: a row a class and reader; empty without readers.
        reference: a row a class, against the dataset's labels and against a reference; empty without a reference.
    """

    split: str
    images: int
    patients: int
    per: str
    studies: int | None = None
    metrics: dict[str, int | float | None]
    undefined: list[str] = field(default_factory=list)
    undefined_auroc: list[str] = field(default_factory=list)
    no_interval: dict[str, str] | None = None
    undefined_in_means: str = "leave-out"
    group_rule: str = ""
    groups: dict[str, Row]
    seen_unseen: dict[str, Row] = field(default_factory=dict)
    bootstrap: Resamples
    thresholds: ThresholdChoice
    predictions: EvaluatedPredictions
    reader_study: ReaderStudy | None = None
    reference_gap: ReferenceGap | None = None
    provenance: Provenance
    per_class: list[Row]
    decisions: list[Row] = field(default_factory=list)
    subgroups: list[Row] = field(default_factory=list)
    readers: list[Row] = field(default_factory=list)
    reference: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.provenance.inputs) < 2:
            raise ValueError("provenance.inputs does not name predictions and dataset")
        if not self.per_class:
            raise ValueError("per_class is empty")
        for number, row in enumerate(self.per_class):
            require_numbers(row, ("ap", "auroc"), f"per_class[{number}]")
            if not isinstance(row.get("class"), str):
                raise ValueError(f"per_class[{number}] has no class")

    @property
    def tables(self) -> dict[str, list[Row]]:
        """Name -> rows with the same columns, of the tables that are not empty."""
        return {name: rows for name in _TABLES if (rows := getattr(self, name))}

    @property
    def content(self) -> dict[str, Any]:
        """What the file holds: each metric is a key of its own; what is empty or None is left out."""
        found: dict[str, Any] = {"format": FORMAT, "version": VERSION}
        for key, value in plain(self).items():
            if key == "metrics":
                found |= value
            elif value or key not in (*_TABLES, "seen_unseen"):
                found[key] = value
        return found | {"predictions": plain(self.predictions)}

    @property
    def ap(self) -> dict[str, float | None]:
        """Class -> AP, None where it is undefined."""
        return {str(row["class"]): None if (ap := row["ap"]) is None else float(ap) for row in self.per_class}

    @property
    def f1_thresholds(self) -> dict[str, float]:
        """Class -> probability with the best F1, of the classes that have a threshold."""
        rows = [(row["class"], row["threshold"]) for row in self.decisions if row["rule"] == "f1"]
        return {str(name): float(threshold) for name, threshold in rows if threshold is not None}


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Writes an evaluation whose lock is held. Undefined metrics (NaN) become null in JSON and an empty cell in CSV."""
    with replacing_folder(folder, _FILES.__contains__) as aside:
        for name, rows in evaluation.tables.items():
            write_csv(aside / f"{name}.csv", list(rows[0]), (row.values() for row in rows))
        write_json(aside / "metrics.json", without_nan(evaluation.content))


def read_evaluation(path: Path) -> Evaluation:
    """Reads an evaluation from its folder or its `metrics.json`.

    Raises:
        UserError: not there, not JSON, not an evaluation, or damaged.
    """
    file = path / "metrics.json" if is_folder(path) else path
    content = read_figures(file, FORMAT, VERSION, "cxrlt evaluate")
    fields = Evaluation.__dataclass_fields__
    metrics = {key: value for key, value in content.items() if key not in ("format", "version", *fields) and _is_number(value)}
    return parse(Evaluation, {**content, "metrics": metrics}, file, "make it again with: cxrlt evaluate --overwrite")


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, int | float)


#: Columns of a dataset whose values name no person: what else subgroups were made by stays here, as it may hold ids.
_PUBLIC_COLUMNS = ("sex", "age", "view", "source")
_SHARED = (
    "split", "images", "patients", "per", "studies", "undefined", "undefined_auroc", "no_interval", "undefined_in_means",
    "group_rule", "groups", "seen_unseen", "bootstrap", "per_class", "decisions", "subgroups",
)  # fmt: skip


@dataclass(frozen=True)
class SharedEvaluation:
    """The metrics of an evaluation that may leave the machine.

    Attributes:
        metrics: content of `metrics.json` without files, names, readers and provenance.
        left_out: columns whose subgroups are not part of it.
    """

    metrics: dict[str, Any]
    left_out: list[str]


def shared_evaluation(evaluation: Evaluation) -> SharedEvaluation:
    """What of an evaluation may leave the machine: means, groups, classes, and subgroups by columns without ids."""
    public = {*_PUBLIC_COLUMNS, *evaluation.ap}
    kept = replace(evaluation, subgroups=[row for row in evaluation.subgroups if row["by"] in public])
    metrics = {key: value for key, value in kept.content.items() if key in _SHARED} | evaluation.metrics
    return SharedEvaluation(metrics, sorted({str(row["by"]) for row in evaluation.subgroups} - public))


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
    value, low, high = (found.metrics.get(name) for name in ("mAP", "mAP_low", "mAP_high"))
    return MeanAP(folder.name, found.predictions.runs, found.split, value, low, high, found.provenance.time)
