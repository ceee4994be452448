"""The stage `study`: trains declared variants over seeds; writes one table and one figure."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.csv_writer import write_csv
from cxrlt_cli.artifacts.dataset import Dataset, read_dataset
from cxrlt_cli.artifacts.embeddings import LabelEmbeddings, read_embeddings
from cxrlt_cli.artifacts.files import claimed, sha256_of, write_text
from cxrlt_cli.artifacts.predictions import read_predictions, rows_of
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.artifacts.run_config import read_run_config
from cxrlt_cli.artifacts.study import StudyResult, read_study, write_study
from cxrlt_cli.config.study import StudyConfig
from cxrlt_cli.console import data, say, warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.labels.groups import assign, rule
from cxrlt_cli.options import saved
from cxrlt_cli.results import StudyTable
from cxrlt_cli.study import spec
from cxrlt_cli.study.figure import draw_study
from cxrlt_cli.study.metrics import Reference, class_rows, harmonic_rows, mean_rows, score
from cxrlt_cli.study.plan import Given, Plan, Task, check_commands
from cxrlt_cli.study.runner import Failed, do_all, taken
from cxrlt_cli.study.spec import Study, Variant
from cxrlt_cli.study.terminal_table import as_text
from cxrlt_cli.workspace import Workspace

Planned = list[tuple[Variant, list[Task]]]


def run_study(config: StudyConfig, workspace: Workspace) -> StudyTable:
    """Runs a study, or continues it.

    Raises:
        UserError: bad input, another study of that name, or commands that failed (their logs are named).
        Stopped: by SIGTERM or SIGUSR1, after the commands at work have saved.
    """
    dataset = read_dataset(config.dataset or workspace.dataset)
    sources = sorted(dataset.split("train").table["source"].unique())
    study = spec.read_study(config.study, sources)
    if study.hold_out and not dataset.unseen.any():
        raise UserError(
            f"the study {study.name} needs classes that are not trained, {dataset.path} has none",
            'merge with --hold-out, as in cxrlt merge --hold-out "Edema,Pneumonia" --overwrite',
        )
    given, embeddings = _given(config, workspace, dataset)
    plan = Plan(config, study, given)
    planned = [(variant, plan.predictions(variant)) for variant in study.variants]
    check_commands(task for _, tasks in planned for task in tasks)
    digest = _digest(planned)
    folder = given.studies.root / config.artifact_name
    _refuse_other(folder, digest, config.overwrite)
    write_text(given.classes, "\n".join(dataset.classes) + "\n")
    _write_texts(given.texts, embeddings)
    tasks = [task for number in range(config.seeds) for _, made in planned for task in made[number : number + 1]]
    index, count = config.part
    say(
        f"{study.name}: {len(study.variants)} variants x {config.seeds} seeds, {len(_runs(tasks))} runs in {given.studies.runs}"
    )
    failed = do_all(tasks[index::count], tasks[0], given.studies.root, config.jobs)
    if count > 1:
        _refuse_failures(failed)
        say(f"part {index} of {count} is done; when all are, the same command without --shard writes the table")
        return StudyTable(folder, {})
    there = _without_failed(study, planned, failed)
    result = _result(config, study, there, plan.reference[0], given)
    result = replace(result, plan=digest, left_out=_left_out(planned, there, failed))
    with claimed(folder, overwrite=True):
        write_study(folder, result, partial(draw_study, result))
    data(json.dumps(result.content, indent=1) if config.json else as_text(result))
    say(f"{folder}: table.csv, per_class.csv, study.json, figure.png and figure.svg")
    _refuse_failures({name: failure for name, failure in failed.items() if failure.task.arguments[0] != "embed-labels"})
    return StudyTable(folder, result.content)


def _given(config: StudyConfig, workspace: Workspace, dataset: Dataset) -> tuple[Given, LabelEmbeddings]:
    """What the study starts from, and its label embeddings."""
    root = workspace.root.resolve()
    embeddings = (config.embeddings or workspace.label_embeddings).resolve()
    content = read_embeddings(embeddings)
    content.of(dataset.classes, embeddings)
    studies = Workspace(root / "studies")
    both = [sha256_of(path) for path in (dataset.path, embeddings)]
    given = Given(
        dataset=dataset.path.resolve(),
        embeddings=embeddings,
        encoder=content.encoder["name"],
        classes=studies.root / "embeddings" / f"classes-{both[0][:8]}.txt",
        texts=studies.root / "embeddings" / f"texts-{both[1][:8]}.csv",
        fingerprint="".join(both),
        merge=dataset.header.provenance.config,
        workspace=Workspace(root),
        studies=studies,
    )
    return given, content


def _write_texts(path: Path, embeddings: LabelEmbeddings) -> None:
    """The texts that were encoded, as `embed-labels --texts` reads them with `--text prompt`."""
    texts = zip(embeddings.classes, embeddings.prompts, strict=True)
    rows = ([name, prompt, prompt] for name, prompts in texts for prompt in prompts)
    write_csv(path, ["class", "prompt", "description"], rows)


def _digest(planned: Planned) -> str:
    """A hash that identifies a study: of its variants and their artifacts."""
    names = [[variant.name, *(task.name for task in tasks)] for variant, tasks in planned]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def _runs(tasks: Sequence[Task]) -> set[str]:
    own = {task.name for task in tasks if task.arguments[0] == "train"}
    return own.union(*(_runs(task.needs) for task in tasks))


def _refuse_other(folder: Path, digest: str, overwrite: bool) -> None:
    if not overwrite:
        there = read_study(folder)
        if there is not None and there.plan != digest:
            raise UserError(
                f"{folder} holds a study of other variants, flags or seeds, or of another dataset",
                "--overwrite replaces its table (runs stay); or give this one another --name",
            )


def _without_failed(study: Study, planned: Planned, failed: dict[str, Failed]) -> Planned:
    """The variants all of whose predictions were made. Raises UserError where a base is not among them, or it is alone."""
    there = [(variant, tasks) for variant, tasks in planned if not {task.name for task in tasks} & set(failed)]
    kept = {variant.name for variant, _ in there}
    if len(there) < 2 or any(study.base_of(variant).name not in kept for variant, _ in there):
        _refuse_failures(failed)
    return there


def _left_out(planned: Planned, there: Planned, failed: dict[str, Failed]) -> dict[str, str]:
    """Variants that are not in the table, and why; those whose text encoder is not on this machine are only pointed out."""
    kept = {variant.name for variant, _ in there}
    found = {}
    for variant, tasks in planned:
        if variant.name not in kept:
            failure = next(failed[task.name] for task in tasks if task.name in failed)
            found[variant.name] = failure.message
            warn(f"{variant.name!r} is left out: {failure.message}")
    return found


def _refuse_failures(failed: dict[str, Failed]) -> None:
    if failed:
        tasks = {failure.task.name: failure for failure in failed.values()}
        first = next(iter(tasks.values()))
        raise UserError(
            f"{len(tasks)} commands failed: {listed(tasks)}; the first: {first.message}",
            f"see studies/logs/{first.task.name}.txt; what is done is kept: fix it and rerun",
        )


def _result(config: StudyConfig, study: Study, planned: Planned, reference_path: Path, given: Given) -> StudyResult:
    dataset = read_dataset(reference_path)
    prevalence = _train_prevalence(dataset)
    part = dataset.split(config.split)
    patients = part.table["patient_id"].to_numpy()
    reference = Reference(part.classes, _groups(part, prevalence), part.targets, part.label_mask, patients)
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
        seeds=config.seeds,
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


def _groups(part: Dataset, prevalence: np.ndarray) -> Sequence[str]:
    """Seen and unseen if classes are held out, else head, medium and tail."""
    return ["unseen" if unseen else "seen" for unseen in part.unseen] if part.unseen.any() else assign(prevalence)


def _train_prevalence(dataset: Dataset) -> np.ndarray:
    train = dataset.split("train")
    positives, label_mask = train.targets.sum(axis=0, dtype=np.int64), train.label_mask.sum(axis=0)
    return np.asarray(positives / np.maximum(label_mask, 1))


def _aligned(path: Path, part: Dataset) -> np.ndarray:
    """(N, C) logits in the dataset's order of images and classes."""
    predictions = read_predictions(path)
    rows = rows_of(path, predictions, list(part.table["image_id"]))
    columns = [predictions.classes.index(name) for name in part.classes]
    return np.asarray(predictions.logits[rows][:, columns])


def _of_train(task: Task) -> list[Task]:
    return [need for need in task.needs if need.arguments[0] == "train"]


def _described(variant: Variant, tasks: list[Task], folder: Path) -> dict[str, Any]:
    """The flags of a variant, and what its trainings took."""
    flags = {key: list(getattr(variant, key)) for key in ("train", "merge", "embed", "predict") if getattr(variant, key)}
    trained = [run for task in tasks for run in _of_train(task)]
    costs = [taken(run, folder) for run in trained]
    minutes = [cost["minutes"] for cost in costs if "minutes" in cost]
    peaks = [cost["peak_bytes"] for cost in costs if "peak_bytes" in cost]
    cost = {"minutes": float(np.mean(minutes)) if minutes else None, "peak_gb": max(peaks) / 1e9 if peaks else None}
    cost["weights"] = read_run_config(Run(trained[0].made)).weight_count if trained else None
    return {**flags, **({"ensemble": True} if variant.ensemble else {}), "training": cost}
