"""What each stage function returns: the paths of its artifact and its main numbers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class FetchedFiles:
    """What `fetch` downloaded: name of each encoder or backbone -> its file or folder."""

    files: dict[str, Path]


@dataclass(frozen=True)
class CachedImages:
    """What `cache` or `join` made.

    Attributes:
        images: the image file, `images/NAME.h5`; of `join --features`, `features/NAME.h5`.
        table: the source table, `images/NAME.parquet`; None for features.
        failed: the list of images without pixels; None where every image has them.
        count: images with pixels.
    """

    images: Path
    table: Path | None
    failed: Path | None
    count: int


@dataclass(frozen=True)
class EmbeddedLabels:
    """What `embed-labels` made: the file, its classes, and the length of each vector."""

    path: Path
    classes: list[str]
    width: int


@dataclass(frozen=True)
class MergedDataset:
    """What `merge` made: the file, its classes, and split -> number of images."""

    path: Path
    classes: list[str]
    images: dict[str, int]


@dataclass(frozen=True)
class StoredFeatures:
    """What `features` made: the file, its number of images, (channels, height, width) of a map, and maps per image."""

    path: Path
    images: int
    map_shape: tuple[int, int, int]
    views: int


@dataclass(frozen=True)
class TrainedRun:
    """What `train` or `fuse` made.

    Attributes:
        folder: of the run.
        checkpoint: `best.pt`, the weights of the best epoch.
        best_epoch: counted from 1; of a fusion 0 is the mean before any step.
        best_map: mean average precision on the validation split in that epoch, within 0 ... 1.
    """

    folder: Path
    checkpoint: Path
    best_epoch: int
    best_map: float


@dataclass(frozen=True)
class StudyTable:
    """What `study` made.

    Attributes:
        folder: of the study.
        content: what `study.json` holds; empty where only a shard of the runs was done.
    """

    folder: Path
    content: dict[str, Any]


@dataclass(frozen=True)
class PredictedScores:
    """What `predict` made.

    Attributes:
        path: the logits, `predictions/NAME.parquet`.
        images: images with scores.
        classes: names.
        failed: image -> why it could not be read.
        submission: the CSV of the challenge; None where none was asked for.
    """

    path: Path
    images: int
    classes: list[str]
    failed: dict[str, str]
    submission: Path | None = None


@dataclass(frozen=True)
class ImportedScores:
    """What `import` made.

    Attributes:
        path: the logits, `predictions/NAME.parquet`.
        dataset: with the labels of the same images; written where they came from a table, or with --output.
        images: with scores and labels.
        classes: names.
        kind: what the scores were: probabilities or logits.
        left_out: images without labels, scores, in another split, with blank_scores -> how many.
    """

    path: Path
    dataset: Path
    images: int
    classes: list[str]
    kind: str
    left_out: dict[str, int]


@dataclass(frozen=True)
class FittedEnsemble:
    """What `ensemble` made.

    Attributes:
        path: members and weights, `ensembles/NAME.json`.
        predictions: the merged scores.
        weights: member -> weight; they sum to 1.
        mean_ap: of the ensemble on the validation split, within 0 ... 1; None where its labels are not there.
    """

    path: Path
    predictions: Path
    weights: dict[str, float]
    mean_ap: float | None


@dataclass(frozen=True)
class FittedCalibration:
    """What `calibrate` made: the file, and a row per class with its calibration error before and after."""

    path: Path
    method: str
    errors: list[dict[str, Any]]


@dataclass(frozen=True)
class EvaluatedScores:
    """What `evaluate` made.

    Attributes:
        folder: with `metrics.json` and `per_class.csv`.
        metrics: what `metrics.json` holds: means over all classes, over groups, and how they were computed.
        per_class: a row per class: AP, AUROC, their intervals, thresholds.
    """

    folder: Path
    metrics: dict[str, Any]
    per_class: list[dict[str, Any]]


@dataclass(frozen=True)
class ComparedScores:
    """What `compare` found: paired differences to the first entry; `folder` is None where no name was given."""

    folder: Path | None
    content: dict[str, Any]


@dataclass(frozen=True)
class RankedLabels:
    """What `clean` made.

    Attributes:
        folder: of the result.
        corrections: `corrections.csv`, the most suspicious label first.
        page: `review.html`; None where none was asked for.
        labels: known labels that were ranked.
        contradicted: labels that the scores contradict.
    """

    folder: Path
    corrections: Path
    page: Path | None
    labels: int
    contradicted: int


@dataclass(frozen=True)
class WrittenReport:
    """What `report` made: the page; its figures are beside it."""

    page: Path


@dataclass(frozen=True)
class ExportedModel:
    """What `export` made: the model, the script that scores with it (None for `torch`), and its classes.

    `difference` is the largest one of a logit to that of the run, on a number of `images`.
    """

    path: Path
    script: Path | None
    classes: list[str]
    images: int
    difference: float


@dataclass(frozen=True)
class PackedModel:
    """What `pack` made: `packs/NAME.zip`, its classes, and the agreements that bind its users (None: sources not recorded)."""

    path: Path
    classes: list[str]
    agreements: list[str] | None


@dataclass(frozen=True)
class ExplainedImages:
    """What `explain` made.

    Attributes:
        folder: of the explanation.
        sheets: a PNG per image; none with `--boxes`.
        maps: the attention and attribution maps as a table; None with `--boxes`.
        localisation: `localisation.csv` of `--boxes`; None without.
    """

    folder: Path
    sheets: list[Path]
    maps: Path | None
    localisation: Path | None = None


@dataclass(frozen=True)
class DemoFolder:
    """What `demo` made: a folder with sources and, unless only data was asked for, every artifact."""

    folder: Path


@dataclass(frozen=True)
class ArtifactFacts:
    """What `info` found: what kind of artifact it is, and its facts, as `--json` prints them."""

    path: Path
    facts: dict[str, Any]


@dataclass(frozen=True)
class RunsOverview:
    """What `runs` found.

    Attributes:
        runs: a record per run, as `--json` prints it; damaged runs have the state `damaged`.
        removable: files of finished runs that resuming no longer needs.
        removed: those of them that were removed.
    """

    runs: list[dict[str, Any]]
    removable: list[Path]
    removed: list[Path]


@dataclass(frozen=True)
class MachineCheck:
    """What `check` found: subject -> (state, finding); no state is `error`, since an error is raised."""

    findings: dict[str, tuple[str, str]]


@dataclass(frozen=True)
class SlurmScripts:
    """What `slurm` wrote: the folder, and its scripts."""

    folder: Path
    scripts: list[Path]


@dataclass(frozen=True)
class MachineSpeed:
    """What `bench` measured.

    Attributes:
        images_per_s: part of training or prediction -> images per second.
        bottleneck: the part that limits training.
    """

    images_per_s: dict[str, float]
    bottleneck: str
