"""The stage `import`: makes predictions of another tool's scores, and a dataset without pixels of a table of labels."""

import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from cxrlt_cli.artifacts.dataset import FORMAT as DATASET
from cxrlt_cli.artifacts.dataset import Dataset, read_dataset, write_dataset
from cxrlt_cli.artifacts.files import claimed, refuse_existing, replacing_together
from cxrlt_cli.artifacts.predictions import FORMAT as PREDICTIONS
from cxrlt_cli.artifacts.predictions import ImportedFrom, Predictions, PredictionsHeader, write_predictions
from cxrlt_cli.artifacts.provenance import Provenance, record
from cxrlt_cli.artifacts.tables import refuse_other_table
from cxrlt_cli.config.import_scores import ImportConfig
from cxrlt_cli.console import say
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.import_scores.labels import LabelFile, dataset_of_labels
from cxrlt_cli.import_scores.match import Matched, match
from cxrlt_cli.import_scores.score_columns import columns_of_classes
from cxrlt_cli.import_scores.score_table import ScoreTable, read_score_table
from cxrlt_cli.options import saved
from cxrlt_cli.paths import is_file
from cxrlt_cli.results import ImportedScores
from cxrlt_cli.sources.table import TableColumns
from cxrlt_cli.workspace import Workspace


def import_scores(config: ImportConfig, workspace: Workspace) -> ImportedScores:
    """Reads scores, matches them with labels by image id and class name, and writes predictions.

    Raises:
        UserError: damaged or ambiguous scores, no matching images or classes, values that are not labels, or an output that
            exists or cannot be written.
    """
    path = workspace.predictions / f"{config.artifact_name}.parquet"
    target = config.output or (workspace.dataset if config.labels else None)
    _refuse_outputs(path, target, config)
    scores = read_score_table(config.file, config.id_column)
    columns = columns_of_classes(config.columns, scores.names, scores.path, "--columns")
    dataset = _labels(config, workspace, scores, list(columns))
    matched = match(scores, columns, dataset, config.split, config.kind)
    part = matched.dataset.split(config.split)
    if target is None:
        _refuse_incomplete(matched, part, dataset, config)
    inputs = [config.file, config.labels or dataset.path]
    with ExitStack() as held:
        for output in filter(None, [target, path]):
            held.enter_context(claimed(output, config.overwrite))
        held.enter_context(replacing_together())
        if target is not None:
            _write_dataset(matched, target, record(saved(config), inputs))
            inputs.append(target)
        header = PredictionsHeader(
            split=config.split,
            imported=ImportedFrom(str(config.file), matched.kind, matched.columns),
            provenance=record(saved(config), inputs),
        )
        write_predictions(path, Predictions(list(part.table["image_id"]), part.classes, matched.logits, header))
    _report(matched, part, path, target)
    return ImportedScores(path, target or dataset.path, len(part.table), part.classes, matched.kind, matched.left_out)


def _report(matched: Matched, part: Dataset, path: Path, target: Path | None) -> None:
    patients = f" of {part.table['patient_id'].nunique()} patients" if part.patients_known else ""
    say(f"{len(part.table)} images{patients}, {len(part.classes)} classes, {matched.kind}: {path}")
    if target is not None:
        by = part.header.patients
        say(f"their labels: {target}{f'; patients by {by}' if by else ''}")


def _refuse_outputs(path: Path, target: Path | None, config: ImportConfig) -> None:
    refuse_existing(path, config.overwrite)
    refuse_other_table(path, PREDICTIONS)
    if target is None:
        return
    refuse_existing(target, True)
    refuse_other_table(target, DATASET)
    if is_file(target) and not config.overwrite:
        use = "leave out --labels to use its labels; " if config.labels else ""
        raise UserError(f"{target} exists", f"{use}--output FILE names another dataset; --overwrite replaces it")
    if is_file(target) and read_dataset(target).has_pixels:
        raise UserError(f"{target} exists and has pixels: not replaced", "name another dataset: --output FILE")


def _labels(config: ImportConfig, workspace: Workspace, scores: ScoreTable, classes: list[str]) -> Dataset:
    """The labels, of a table or of a dataset."""
    if not config.labels:
        path = config.dataset or workspace.dataset
        if not is_file(path):
            raise UserError(f"no labels: {path} is not there", "name a table, --labels TABLE, or a dataset, --dataset FILE")
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
        labels=(),
        values=config.value_labels,
        texts=config.label_column,
        separator=config.separator,
    )
    file = LabelFile(config.labels, columns, config.label_columns, config.patient_pattern, config.split)
    return dataset_of_labels(file, scores, classes)


def _refuse_incomplete(matched: Matched, part: Dataset, dataset: Dataset, config: ImportConfig) -> None:
    """Raises UserError where an existing dataset has more images or classes than the scores."""
    absent = [name for name in dataset.classes if name not in matched.columns]
    images = len(dataset.split(config.split).table) - len(part.table)
    if absent or images:
        missing = [f"no scores for {images} images of the {config.split} split"] if images else []
        missing += [f"no scores for the classes {listed(absent)}"] if absent else []
        raise UserError(
            f"{config.file} does not cover {dataset.path}: {'; '.join(missing)}",
            "--output FILE.parquet also writes a dataset of the images and classes that have scores, to evaluate with "
            "--dataset FILE.parquet",
        )


def _write_dataset(matched: Matched, target: Path, provenance: Provenance) -> None:
    dataset = matched.dataset
    if dataset.has_pixels:
        moved = {name: os.path.relpath(dataset.path.parent / name, target.parent) for name in dataset.table["cache"].unique()}
        dataset = replace(dataset, table=dataset.table.assign(cache=dataset.table["cache"].map(moved)))
    counts = {name: int(count) for name, count in zip(dataset.classes, dataset.targets.sum(axis=0), strict=True)}
    header = replace(dataset.header, counts=counts, left_out=matched.left_out["scores"], provenance=provenance)
    write_dataset(replace(dataset, header=header, path=target))
