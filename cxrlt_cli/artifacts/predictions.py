"""`predictions/NAME.parquet`: ids and one float32 logit a class; probabilities would tie near 0 and 1."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cxrlt_cli.artifacts.calibration import FittedOn
from cxrlt_cli.artifacts.csv_writer import write_csv
from cxrlt_cli.artifacts.data_sources import DataSource
from cxrlt_cli.artifacts.half_replaced import refuse_half_replaced
from cxrlt_cli.artifacts.origin import Origin
from cxrlt_cli.artifacts.parsing import ClassNames, damage_reported, parse, plain
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.artifacts.tables import (
    read_any_header,
    read_header,
    read_table,
    require_columns,
    require_filled,
    texts,
    write_table,
)
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_file

FORMAT, VERSION = "cxrlt predictions", 1


@dataclass(frozen=True)
class Predictions:
    """Scores of images.

    Attributes:
        image_ids: (N,) ids, each once.
        classes: class names.
        logits: (N, C) float32; of merged views or models, the logit of the merged probability.
        header: what made them (runs, views, merge, split, provenance).
    """

    image_ids: list[str]
    classes: list[str]
    logits: np.ndarray
    header: "PredictionsHeader"


@dataclass(frozen=True)
class MemberWeight:
    """A run of an ensemble, and its weight in the merged scores."""

    name: str
    weight: float


@dataclass(frozen=True)
class AppliedCalibration:
    """The calibration that changed the scores: its name, method, and the predictions that it was fitted on."""

    name: str
    method: str = ""
    fitted_on: FittedOn = field(default_factory=FittedOn)


@dataclass(frozen=True)
class ImportedFrom:
    """Where scores of another tool come from.

    Attributes:
        file: that `cxrlt import` read.
        kind: probabilities or logits, as the file holds them.
        columns: class -> column of the file.
    """

    file: str
    kind: str = ""
    columns: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ZeroShotModel:
    """The model of images and texts that scored without training.

    Attributes:
        name: as given to `--zero-shot`.
        origin: repository, revision and licence of its weights.
        prompts: class -> the texts that were encoded.
    """

    name: str
    origin: Origin
    prompts: dict[str, list[str]]


@dataclass(frozen=True)
class PredictionsHeader:
    """What made predictions.

    Attributes:
        runs: that scored; none where the scores were imported, or are those of a model of images and texts.
        split: train, val or test; empty for a folder of images.
        fold: the one that the runs held out, of whose split the images are; None where the splits are those of the dataset.
        out_of_fold: whether the images are all that some fold holds out, each scored by runs that did not train on its patient.
        views: that were merged.
        merge: of views and runs: geomean, mean, logits, or none where there was nothing to merge.
        members: the runs with their weights.
        study: how the images of a study were merged: none, fused, or a rule of `--study`.
        precision: of convolutions and products.
        pixels: the settings with which the images were made; None where they were made from images of a dataset.
        epoch: of a run's validation.
        calibration: None where the scores are those of the networks.
        imported: None where cxrlt made the scores.
        zero_shot: the model of images and texts; None where others scored.
        data_sources: what the runs learned from; None where it is not recorded.
        provenance: see there.
    """

    runs: list[str] = field(default_factory=list)
    split: str = ""
    fold: int | None = None
    out_of_fold: bool = False
    views: int = 1
    merge: str = "none"
    members: list[MemberWeight] | None = None
    study: str = "none"
    precision: str | None = None
    pixels: dict[str, Any] | None = None
    epoch: int | None = None
    calibration: AppliedCalibration | None = None
    imported: ImportedFrom | None = None
    zero_shot: ZeroShotModel | None = None
    data_sources: list[DataSource] | None = None
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        if self.views < 1:
            raise ValueError(f"views is {self.views}, not 1 or more")


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Writes a prediction file.

    Raises:
        UserError: a score is not finite (image and class are named), or the folder cannot be written to.
    """
    _require_finite(path, predictions, "the run is damaged or diverged: see its history.jsonl")
    columns: dict[str, Any] = {"image_id": pa.array(predictions.image_ids, pa.string())}
    for index, name in enumerate(predictions.classes):
        columns[f"logit:{name}"] = pa.array(np.ascontiguousarray(predictions.logits[:, index], dtype=np.float32))
    write_table(path, pa.table(columns), FORMAT, VERSION, {"classes": predictions.classes, **plain(predictions.header)})


def read_predictions(path: Path) -> Predictions:
    """Reads a prediction file.

    Raises:
        UserError: not there, damaged, not predictions, an id twice, no rows, a score that is not finite, or files beside it
            that are of other scores, as a kill leaves them.
    """
    hint = f"make it again with: {_MADE_BY}"
    refuse_half_replaced(path, hint)
    refuse_scores_of_another_tool(path)
    with damage_reported(path, hint):
        table, content = read_table(path, FORMAT, VERSION, _MADE_BY)
        classes = parse(ClassNames, content, path, hint).classes
        header = parse(PredictionsHeader, content, path, hint)
        require_columns(path, table, ["image_id", *(f"logit:{name}" for name in classes)])
        require_filled(path, table, ["image_id"])
        ids = texts(table["image_id"]).to_pylist()
        if not ids:
            raise UserError(f"{path} has no rows", hint)
        if len(set(ids)) != len(ids):
            raise UserError(f"{path} has an image twice", hint)
        logits = np.empty((len(ids), len(classes)), dtype=np.float32)
        for index, name in enumerate(classes):
            logits[:, index] = table[f"logit:{name}"].cast(pa.float32()).fill_null(float("nan")).to_numpy()
        predictions = Predictions(ids, classes, logits, header)
        _require_finite(path, predictions, hint)
    return predictions


_MADE_BY = "cxrlt predict --overwrite"


def refuse_scores_of_another_tool(path: Path) -> None:
    """Raises UserError for a table that no cxrlt wrote, with the command that takes its scores."""
    if is_file(path) and _is_of_another_tool(path):
        what = "is a Parquet file of another origin" if path.suffix == ".parquet" else "is not a Parquet file of cxrlt"
        raise UserError(
            f"{path} {what}: predictions are expected",
            f"scores of another tool become predictions with: cxrlt import {path} --labels TABLE",
        )


def _is_of_another_tool(path: Path) -> bool:
    if path.suffix not in (".parquet", ".pq"):
        return True
    try:
        return not read_any_header(path)
    except UserError:  # damaged: reading it gives the message
        return False


def read_predictions_header(path: Path) -> PredictionsHeader:
    """The header of a prediction file. Raises UserError if it is missing, damaged, or something else."""
    refuse_scores_of_another_tool(path)
    return parse(PredictionsHeader, read_header(path, FORMAT, VERSION, _MADE_BY), path, f"make it again with: {_MADE_BY}")


def _require_finite(path: Path, predictions: Predictions, hint: str) -> None:
    bad = np.argwhere(~np.isfinite(predictions.logits))
    if len(bad):
        row, column = bad[0]
        where = f"{predictions.image_ids[row]}, {predictions.classes[column]}"
        raise UserError(f"{path}: {len(bad)} scores are not finite (the first: {where})", hint)


def write_submission(path: Path, predictions: Predictions, id_column: str) -> None:
    """Writes the challenge's CSV: the id column (`dicom_id` there), then a probability per class."""
    if id_column in predictions.classes:
        raise UserError(f"the id column {id_column!r} is also a class", "name another: --id-column")
    with np.errstate(over="ignore"):  # exp(-x) of a very negative logit is inf, and 1 / inf the right probability
        probabilities = 1.0 / (1.0 + np.exp(-predictions.logits.astype(np.float64)))
    rows = ([name, *row] for name, row in zip(predictions.image_ids, probabilities.tolist(), strict=True))
    write_csv(path, [id_column, *predictions.classes], rows)


def refuse_other_submission(path: Path, id_column: str) -> None:
    """Raises UserError where a file that is to be overwritten does not begin as a submission does."""
    if is_file(path):
        with path.open("rb") as file:
            first = file.readline(4096).decode(errors="replace").strip()
        if first.partition(",")[0] != id_column:
            raise UserError(f"{path} is no submission (its first column is not {id_column}): not replaced", "name another file")


def rows_of(path: Path, predictions: Predictions, image_ids: list[str]) -> np.ndarray:
    """(len(image_ids),) row numbers of ids in the predictions, joined by id.

    Raises:
        UserError: an id has no prediction.
    """
    row = {name: index for index, name in enumerate(predictions.image_ids)}
    absent = [name for name in image_ids if name not in row]
    if absent:
        raise UserError(f"{path} has no scores for {len(absent)} of {len(image_ids)} images: {listed(absent)}", "predict them")
    return np.array([row[name] for name in image_ids], dtype=np.int64)
