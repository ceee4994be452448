"""The stage `study`: trains declared variants over seeds; writes one table and one figure."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.dataset import Dataset, read_dataset
from cxrlt_cli.artifacts.files import claimed
from cxrlt_cli.artifacts.predictions import read_predictions, rows_of
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.artifacts.study import StudyResult, write_study
from cxrlt_cli.config.study import FOLDS, StudyConfig
from cxrlt_cli.console import data, say, warn
from cxrlt_cli.errors import UserError
from cxrlt_cli.labels.groups import rule
from cxrlt_cli.options import saved
from cxrlt_cli.results import StudyTable
from cxrlt_cli.study import spec
from cxrlt_cli.study.figure import draw_folds, draw_study
from cxrlt_cli.study.folds import FoldScores, fold_result, fold_study
from cxrlt_cli.study.metrics import Reference, class_rows, harmonic_rows, mean_rows, score
from cxrlt_cli.study.plan import Given, Plan, Task, check_commands
from cxrlt_cli.study.runner import Failed, do_all
from cxrlt_cli.study.spec import Study, Variant
from cxrlt_cli.study.start import (
    groups_of,
    read_given,
    refuse_failures,
    refuse_other,
    train_prevalence,
    training_cost,
    write_given,
)
from cxrlt_cli.study.terminal_table import as_text, folds_as_text
from cxrlt_cli.workspace import Workspace

Planned = list[tuple[Variant, list[Task]]]


def run_study(config: StudyConfig, workspace: Workspace) -> StudyTable:
    """Runs a study, or continues it.

    Raises:
        UserError: bad input, another study of that name, or commands that failed (their logs are named).
        Stopped: by SIGTERM or SIGUSR1, after the running commands have saved.
    """
    dataset = read_dataset(config.dataset or workspace.dataset)
    if config.study == FOLDS:
        return _run_folds(config, workspace, dataset)
    sources = sorted(dataset.split("train").table["source"].unique())
    study = spec.read_study(config.study, sources)
    if study.hold_out and not dataset.unseen.any():
        raise UserError(
            f"the study {study.name} needs classes that are not trained, {dataset.path} has none",
            'merge with --hold-out, as in cxrlt merge --hold-out "Edema,Pneumonia" --overwrite',
        )
    given, embeddings = read_given(config.embeddings, workspace, dataset)
    plan = Plan(config, study, given)
    planned = [(variant, plan.predictions(variant)) for variant in study.variants]
    check_commands(task for _, tasks in planned for task in tasks)
    digest = _digest(planned)
    folder = given.studies.root / config.artifact_name
    refuse_other(folder, digest, config.overwrite)
    write_given(given, dataset.classes, embeddings)
    tasks = [task for number in range(config.seed_count) for _, made in planned for task in made[number : number + 1]]
    failed = _do(config, given, tasks, f"{study.name}: {len(study.variants)} variants x {config.seed_count} seeds")
    if failed is None:
        return StudyTable(folder, {})
    there = _without_failed(study, planned, failed)
    result = _result(config, study, there, plan.reference[0], given)
    result = replace(result, plan=digest, left_out=_left_out(planned, there, failed))
    with claimed(folder, overwrite=True):
        write_study(folder, result, partial(draw_study, result))
    data(json.dumps(result.content, indent=1) if config.json else as_text(result))
    say(f"{folder}: table.csv, per_class.csv, study.json, figure.png and figure.svg")
    refuse_failures({name: failure for name, failure in failed.items() if failure.task.arguments[0] != "embed-labels"})
    return StudyTable(folder, result.content)


def _run_folds(config: StudyConfig, workspace: Workspace, dataset: Dataset) -> StudyTable:
    """The study `folds`: a run per fold and seed, their out-of-fold scores, and all of them as an ensemble."""
    study = fold_study(dataset)
    given, embeddings = read_given(config.embeddings, workspace, dataset)
    plan = Plan(config, study, given)
    runs = [[plan.run(variant, seed) for seed in config.all_seeds] for variant in study.variants]
    every = [task for seeds in zip(*runs, strict=True) for task in seeds]
    tested = (dataset.table["split"] == "test").any()
    test = [plan.predicted(tuple(every), Variant("ensemble"), "test")] if tested else []
    check_commands([*every, *test])
    digest = _digest([(variant, [*tasks, *test]) for variant, tasks in zip(study.variants, runs, strict=True)])
    folder = given.studies.root / config.artifact_name
    refuse_other(folder, digest, config.overwrite)
    write_given(given, dataset.classes, embeddings)
    failed = _do(config, given, [*every, *test], f"{dataset.folds} folds x {config.seed_count} seeds")
    if failed is None:
        return StudyTable(folder, {})
    refuse_failures(failed)
    made = [[Run(task.made) for task in tasks] for tasks in runs]
    scores = FoldScores.read(dataset, made, test[0].made if test else None, record(saved(config), [dataset.path]))
    costs = [training_cost(tasks, given.studies.root) for tasks in runs]
    result = fold_result(study, scores, (config.first_seed, config.resamples), costs)
    result = replace(result, plan=digest)
    with claimed(folder, overwrite=True):
        write_study(folder, result, partial(draw_folds, result), scores.write)
    data(json.dumps(result.content, indent=1) if config.json else folds_as_text(result))
    say(f"{folder}: {', '.join(scores.files)}, table.csv, per_class.csv, study.json, figure.png and figure.svg")
    return StudyTable(folder, result.content)


def _do(config: StudyConfig, given: Given, tasks: list[Task], what: str) -> dict[str, Failed] | None:
    """Runs the tasks, or those of `--shard`; name -> failure. None where others may still be to do."""
    index, count = config.part
    say(f"{what}, {len(_runs(tasks))} runs in {given.studies.runs}")
    failed = do_all(tasks[index::count], tasks[0], given.studies.root, config.jobs)
    if count == 1:
        return failed
    refuse_failures(failed)
    say(f"part {index} of {count} is done; when all are, the same command without --shard writes the table")
    return None


def _digest(planned: Planned) -> str:
    """A hash that identifies a study: of its variants and their artifacts."""
    names = [[variant.name, *(task.name for task in tasks)] for variant, tasks in planned]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def _runs(tasks: Sequence[Task]) -> set[str]:
    own = {task.name for task in tasks if task.arguments[0] == "train"}
    return own.union(*(_runs(task.needs) for task in tasks))


def _without_failed(study: Study, planned: Planned, failed: dict[str, Failed]) -> Planned:
    """The variants with all predictions. Raises UserError if a base is missing, or only one variant is left."""
    there = [(variant, tasks) for variant, tasks in planned if not {task.name for task in tasks} & set(failed)]
    kept = {variant.name for variant, _ in there}
    if len(there) < 2 or any(study.base_of(variant).name not in kept for variant, _ in there):
        refuse_failures(failed)
    return there


def _left_out(planned: Planned, there: Planned, failed: dict[str, Failed]) -> dict[str, str]:
    """Variants that are left out of the table, with the reason; each gets a warning."""
    kept = {variant.name for variant, _ in there}
    found = {}
    for variant, tasks in planned:
        if variant.name not in kept:
            failure = next(failed[task.name] for task in tasks if task.name in failed)
            found[variant.name] = failure.message
            warn(f"{variant.name!r} is left out: {failure.message}")
    return found


def _result(config: StudyConfig, study: Study, planned: Planned, reference_path: Path, given: Given) -> StudyResult:
    dataset = read_dataset(reference_path)
    prevalence = train_prevalence(dataset)
    part = dataset.split(config.split)
    patients = part.table["patient_id"].to_numpy()
    reference = Reference(part.classes, groups_of(part, prevalence), part.targets, part.label_mask, patients)
    logits = [[_aligned(task.made, part) for task in tasks] for _, tasks in planned]
    names = [variant.name for variant, _ in planned]
    bases = [names.index(study.base_of(variant).name) for variant, _ in planned]
    scored = score(logits, reference, (config.resamples, config.permutations), study.chain, bases)
    runs = {variant.name: [_of_train(task) for task in tasks] for variant, tasks in planned}
    return StudyResult(
        study=study.name,
        asks=study.asks,
        split=config.split,
        images=len(part.table),
        patients=int(part.table["patient_id"].nunique()),
        seeds=config.seed_count,
        first_seed=config.first_seed,
        resamples=config.resamples,
        permutations=config.permutations,
        group_rule="unseen: no training label names the class" if part.unseen.any() else rule(),
        groups=dict(zip(part.classes, reference.groups, strict=True)),
        chain=study.chain,
        variants={variant.name: _described(variant, tasks, given.studies.root) for variant, tasks in planned},
        bases={name: names[base] for name, base in zip(names, bases, strict=True)},
        means=mean_rows(names, scored, reference, bases),
        harmonic=harmonic_rows(names, scored, reference),
        seeds_map={name: [float(np.nanmean(row)) for row in one.point] for name, one in zip(names, scored, strict=True)},
        per_class=class_rows(names, scored, reference, bases),
        runs={name: [[run.name for run in members] for members in groups] for name, groups in runs.items()},
        provenance=record(saved(config), [given.dataset, given.embeddings, reference_path]),
    )


def _aligned(path: Path, part: Dataset) -> np.ndarray:
    """(N, C) logits in the dataset's order of images and classes."""
    predictions = read_predictions(path)
    rows = rows_of(path, predictions, list(part.table["image_id"]))
    columns = [predictions.classes.index(name) for name in part.classes]
    return np.asarray(predictions.logits[rows][:, columns])


def _of_train(task: Task) -> list[Task]:
    return [need for need in task.needs if need.arguments[0] == "train"]


def _described(variant: Variant, tasks: list[Task], folder: Path) -> dict[str, Any]:
    """The flags of a variant, and time, memory and size of its trainings."""
    flags = {key: list(getattr(variant, key)) for key in ("train", "merge", "embed", "predict") if getattr(variant, key)}
    cost = training_cost([run for task in tasks for run in _of_train(task)], folder)
    return {**flags, **({"ensemble": True} if variant.ensemble else {}), "training": cost}
