"""The stage `import`: another tool's scores become predictions; labels of a table alone become a dataset without pixels."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cxrlt_cli.artifacts.dataset import FORMAT as DATASET
from cxrlt_cli.artifacts.dataset import Dataset, read_dataset, write_dataset
from cxrlt_cli.artifacts.files import claimed, refuse_existing, replacing_together
from cxrlt_cli.artifacts.predictions import FORMAT as PREDICTIONS
from cxrlt_cli.artifacts.predictions import ImportedFrom, Predictions, PredictionsHeader, write_predictions
from cxrlt_cli.artifacts.provenance import provenance_of, record
from cxrlt_cli.artifacts.tables import refuse_other_table
from cxrlt_cli.config.import_scores import ImportConfig
from cxrlt_cli.console import say, warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.import_scores.labels import PatientIds, dataset_of_labels
from cxrlt_cli.import_scores.score_columns import columns_of_classes, match_classes
from cxrlt_cli.import_scores.score_kind import Kind, kind_of_scores, logits_of
from cxrlt_cli.import_scores.score_table import ScoreTable, numbers_of, read_score_table, scored_rows
from cxrlt_cli.options import saved
from cxrlt_cli.paths import is_file
from cxrlt_cli.results import ImportedScores
from cxrlt_cli.sources.registry import label_columns
from cxrlt_cli.sources.table import TableColumns
from cxrlt_cli.workspace import Workspace


@dataclass(frozen=True)
class _Matched:
    """Images and classes that have scores and labels.

    Attributes:
        dataset: its rows of the scored split are in the order of `logits`; rows of other splits are kept.
        logits: (N, C) float32.
        kind: what the scores were.
        columns: class -> column of the scores.
        without: counts of what is left out.
    """

    dataset: Dataset
    logits: np.ndarray
    kind: Kind
    columns: dict[str, str]
    without: dict[str, int]


def import_scores(config: ImportConfig, workspace: Workspace) -> ImportedScores:
    """Reads scores, matches them with labels by image id and class name, and writes predictions.

    Raises:
        UserError: damaged or unclear scores, images or classes that match nothing, labels that are none, or an output that
            exists or cannot be written.
    """
    path = workspace.predictions / f"{config.artifact_name}.parquet"
    target = config.output or (workspace.dataset if config.labels else None)
    _refuse_outputs(path, target, config.overwrite)
    scores = read_score_table(config.file, config.id_column)
    columns = columns_of_classes(config.columns, scores.names, scores.path)
    dataset = _labels(config, workspace, scores, list(columns))
    matched = _match(config, scores, columns, dataset)
    if target is None:
        _refuse_incomplete(matched, dataset, config)
    inputs = [config.file, *filter(None, [config.labels])]
    with claimed(path, config.overwrite, *filter(None, [target])), replacing_together():
        if target is not None:
            provenance = record(saved(config), [*inputs, *([] if config.labels else [dataset.path])])
            _write_dataset(matched, target, provenance)
        provenance = record(saved(config), [*inputs, target or dataset.path])
        _write_predictions(config, matched, path, provenance)
    of_split = matched.dataset.split(config.split)
    say(f"{len(of_split.table)} images x {len(of_split.classes)} classes, {matched.kind}: {path}")
    if target is not None:
        say(f"labels of {config.split}: {target}")
    labels = target or dataset.path
    return ImportedScores(path, labels, len(of_split.table), of_split.classes, matched.kind, matched.without)


def _refuse_outputs(path: Path, target: Path | None, overwrite: bool) -> None:
    refuse_existing(path, overwrite)
    refuse_other_table(path, PREDICTIONS)
    if target is None:
        return
    refuse_other_table(target, DATASET)
    if is_file(target) and (not overwrite or read_dataset(target).has_pixels):
        raise UserError(
            f"{target} exists" + (" and has pixels: not replaced by labels alone" if overwrite else ""),
            "leave out --labels to use its labels, or name another dataset: --output FILE"
            + ("" if overwrite else "; --overwrite replaces one without pixels"),
        )


def _labels(config: ImportConfig, workspace: Workspace, scores: ScoreTable, classes: list[str]) -> Dataset:
    """The labels, of a table or of a dataset."""
    if not config.labels:
        path = config.dataset or workspace.dataset
        if not is_file(path):
            raise UserError(
                f"no labels: {path} is not there", "name a table of labels: --labels TABLE; or a dataset: --dataset"
            )
        return read_dataset(path)
    columns = TableColumns(
        image=config.label_id_column or config.id_column,
        path="",
        patient=config.patient_column,
        study=config.study_column,
        view=config.view_column,
        sex=config.sex_column,
        age=config.age_column,
        split=config.split_column,
        inverted="",
        labels=label_columns(config.label_columns),
        values=config.value_labels,
        texts=config.label_column,
        separator=config.separator,
    )
    patients = PatientIds(config.patient_column, config.patient_pattern)
    return dataset_of_labels(config.labels, columns, patients, scores, classes, config.split)


def _match(config: ImportConfig, scores: ScoreTable, columns: dict[str, str], dataset: Dataset) -> _Matched:
    used = match_classes(columns, dataset.classes, config.columns, (scores.path, dataset.path))
    _say_unused(config.columns, columns, used, dataset)
    scores = scored_rows(scores, list(used.values()))
    values = numbers_of(scores, list(used.values()))
    blank = np.isnan(values).any(axis=1)
    if blank.any():
        warn(f"{scores.path}: {int(blank.sum())} images lack a score and are left out: {listed(scores.ids[blank])}")
        scores, values = scores.rows(~blank), values[~blank]
    if not len(values):
        raise UserError(f"{scores.path}: no image has a score for each of {listed(used)}", "see --columns")
    kind = kind_of_scores(values) if config.kind == "auto" else config.kind
    logits = logits_of(values, kind, scores, list(used))
    dataset = _with_classes(dataset, list(used))
    keep, rows, without = _joined(dataset, scores, config.split)
    return _Matched(dataset.rows(keep), logits[rows], kind, used, {**without, "blank_scores": int(blank.sum())})


def _say_unused(given: str, columns: dict[str, str], used: dict[str, str], dataset: Dataset) -> None:
    without_labels = [name for name, column in columns.items() if column not in used.values()]
    without_scores = [name for name in dataset.classes if name not in used]
    if without_labels:
        what = "classes without labels" if given else "columns that are no class of the labels"
        say(f"{len(without_labels)} {what} are left out: {listed(without_labels)}")
    if without_scores:
        say(f"{len(without_scores)} classes of the labels without scores: {listed(without_scores)}")


def _with_classes(dataset: Dataset, classes: list[str]) -> Dataset:
    places = [dataset.classes.index(name) for name in classes]
    soft = None if dataset.soft is None else dataset.soft[:, places]
    return replace(
        dataset, classes=classes, targets=dataset.targets[:, places], label_mask=dataset.label_mask[:, places], soft=soft
    )


def _joined(dataset: Dataset, scores: ScoreTable, split: str) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """(N,) bool rows of the dataset to keep; the row of the scores of each that is in the split; counts of what is left out."""
    row_of = {name: row for row, name in enumerate(scores.ids)}
    ids, of_split = dataset.table["image_id"], (dataset.table["split"] == split).to_numpy()
    rows = np.array([row_of.get(name, -1) for name in ids])
    labelled = dataset.label_mask.any(axis=1)
    keep = of_split & (rows >= 0) & labelled
    if not keep.any():
        other = f" in the {split} split" if (rows >= 0).any() and not of_split.all() else ""
        raise UserError(
            f"no image of {scores.path} has a label{other} in {dataset.path}: the scores have {listed(scores.ids, 2)}, "
            f"the labels {listed(ids[of_split] if of_split.any() else ids, 2)}",
            "ids must be equal: see --id-column and --label-id-column; and --split",
        )
    elsewhere = set(ids[~of_split])
    with_labels = set(ids[keep])
    foreign = [name for name in row_of if name not in with_labels and name not in elsewhere]
    in_others = [name for name in row_of if name in elsewhere]
    lacking = ids[of_split & labelled & (rows < 0)]
    for names, what in (
        (foreign, f"images of {scores.path} have no label"),
        (in_others, f"images of {scores.path} are in other splits than {split}"),
        (lacking, f"labelled images of {dataset.path} have no score"),
    ):
        if len(names):
            warn(f"{len(names)} {what}: left out ({listed(names, 3)})")
    without = {"labels": len(foreign), "scores": len(lacking), "split": len(in_others)}
    return keep | ~of_split, rows[keep], without


def _refuse_incomplete(matched: _Matched, dataset: Dataset, config: ImportConfig) -> None:
    """Raises UserError where an existing dataset has more images or classes than the scores."""
    absent = [name for name in dataset.classes if name not in matched.columns]
    images = len(dataset.split(config.split).table) - len(matched.logits)
    if absent or images:
        said = [f"no scores for {images} images of the {config.split} split"] if images else []
        said += [f"no scores for the classes {listed(absent)}"] if absent else []
        raise UserError(
            f"{config.file} does not cover {dataset.path}: {'; '.join(said)}",
            "--output FILE.parquet also writes a dataset of the images and classes that have scores, to evaluate with "
            "--dataset FILE.parquet",
        )


def _write_dataset(matched: _Matched, target: Path, provenance: dict[str, object]) -> None:
    dataset = matched.dataset
    if dataset.has_pixels:
        moved = {name: os.path.relpath(dataset.path.parent / name, target.parent) for name in dataset.table["cache"].unique()}
        dataset = replace(dataset, table=dataset.table.assign(cache=dataset.table["cache"].map(moved)))
    counts = {name: int(count) for name, count in zip(dataset.classes, dataset.targets.sum(axis=0), strict=True)}
    header = {**dataset.header, "counts": counts, "left_out": matched.without["scores"], "provenance": provenance}
    write_dataset(replace(dataset, header=header, path=target))


def _write_predictions(config: ImportConfig, matched: _Matched, path: Path, provenance: dict[str, object]) -> None:
    part = matched.dataset.split(config.split)
    header = PredictionsHeader(
        split=config.split,
        imported=ImportedFrom(str(config.file), matched.kind, matched.columns),
        provenance=provenance_of({"provenance": provenance}),
    )
    write_predictions(path, Predictions(list(part.table["image_id"]), part.classes, matched.logits, header))
