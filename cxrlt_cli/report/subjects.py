"""The subjects of a report: runs, evaluations or predictions, each as scores joined with labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.calibration import Calibration, read_calibration
from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.artifacts.evaluation import Evaluation, read_evaluation
from cxrlt_cli.artifacts.files import InputFile, sha256_of
from cxrlt_cli.artifacts.predictions import read_predictions_header
from cxrlt_cli.artifacts.resolve import find_runs
from cxrlt_cli.artifacts.run import Run, read_history
from cxrlt_cli.artifacts.run_config import RunConfig, read_run_config, refuse_damaged_config
from cxrlt_cli.errors import UserError, nearest
from cxrlt_cli.paths import is_file
from cxrlt_cli.scores.apply_calibration import calibrated_scores
from cxrlt_cli.scores.labelled import Scored, read_scored
from cxrlt_cli.workspace import Workspace, newest


@dataclass(frozen=True)
class Subject:
    """A subject of the report.

    Attributes:
        name: in the page.
        scored: its scores joined with the labels.
        runs: the runs that made the scores, as far as their folders exist.
        absent: names of the other runs.
        evaluation: `metrics.json` of the given evaluation, or of the newest one of the same scores; None without one.
    """

    name: str
    scored: Scored
    runs: list[Run]
    absent: list[str]
    evaluation: Evaluation | None = None

    @property
    def config(self) -> RunConfig | None:
        """`config.json` of its first run; None if that is not there."""
        return read_run_config(self.runs[0]) if self.runs else None

    @property
    def histories(self) -> dict[str, list[dict[str, Any]]]:
        """Name of a run -> its epochs, of the runs that have a history."""
        found = {run.folder.name: read_history(run) for run in self.runs if is_file(run.history)}
        return {name: epochs for name, epochs in found.items() if epochs}


@dataclass(frozen=True)
class _Found:
    """A subject before its scores are read; `path` of a run may be predictions of the test split or its validation."""

    name: str
    path: Path
    run: Run | None = None
    evaluation: Evaluation | None = None


def find_subjects(what: tuple[str, ...], dataset: Dataset, workspace: Workspace) -> list[Subject]:
    """Finds and reads the subjects.

    All runs are reported on the same split: the test split if each has predictions of it, else validation.

    Raises:
        UserError: an unknown name, or scores that are damaged or do not match the dataset.
    """
    found = [_find(name, dataset, workspace) for name in what] or [_of_run(find_runs((), workspace.runs)[0], workspace)]
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise UserError(f"named twice: {', '.join(names)}", "name each once")
    without = [one for one in found if one.run and one.path == one.run.validation]
    if without:  # one scale for all runs
        found = [_Found(one.name, one.run.validation, one.run) if one.run else one for one in found]
    return [_subject(one, dataset, workspace) for one in found]


def _find(name: str, dataset: Dataset, workspace: Workspace) -> _Found:
    for folder in (workspace.runs / name, Path(name), workspace.root / name):
        if is_file(folder / "config.json"):
            return _of_run(Run(folder), workspace)
    for folder in (workspace.evaluations / name, Path(name), workspace.root / name):
        if is_file(folder / "metrics.json"):
            return _of_evaluation(folder, dataset, workspace)
    for path in (workspace.predictions / f"{name}.parquet", Path(name), workspace.root / name):
        if is_file(path):
            return _Found(path.stem, path)
    there = [path.parent.name for path in workspace.runs.glob("*/config.json")]
    there += [path.parent.name for path in workspace.evaluations.glob("[!.]*/metrics.json")]
    there += [path.stem for path in workspace.predictions.glob("*.parquet")]
    raise UserError(
        f"{name!r} is not a run, an evaluation or predictions{nearest(name, there)}",
        f"{workspace.root} has: {', '.join(sorted(set(there))) or 'none'}",
    )


def _of_run(run: Run, workspace: Workspace) -> _Found:
    name = run.folder.resolve().name
    own = [path for path in workspace.predictions.glob("*.parquet") if _scores(path, name)]
    path = newest(own) or run.validation
    if not is_file(path):
        raise UserError(f"{run.folder} has no scores yet", "let it finish an epoch: cxrlt train --resume")
    return _Found(name, path, run)


def _scores(path: Path, run: str) -> bool:
    """Whether predictions are of the test split and made by this run alone."""
    try:
        header = read_predictions_header(path)
    except UserError:  # damaged or something else, and not what was asked for
        return False
    return header.split == "test" and header.runs == [run]


def _of_evaluation(folder: Path, dataset: Dataset, workspace: Workspace) -> _Found:
    evaluation = read_evaluation(folder)
    source, labels = evaluation.provenance.inputs[:2]
    again = f"evaluate again: cxrlt evaluate {source.path} --name {folder.resolve().name} --overwrite"
    if evaluation.per != "image":
        raise UserError(
            f"{folder} has one row per study, a report one per image", f"report its scores: cxrlt report {source.path}"
        )
    if sha256_of(dataset.path) != labels.sha256:
        raise UserError(f"{folder} was made from {labels.path}, which differs from {dataset.path}", f"{again}; or --dataset")
    path = _unchanged(source, workspace.predictions, str(folder), again)
    return _Found(folder.resolve().name, path, evaluation=evaluation)


def _unchanged(file: InputFile, folder: Path, made: str, hint: str) -> Path:
    """An input file of an artifact, at its old path or by name in `folder`. Raises UserError if it has changed or is gone."""
    there = [path for path in (folder / Path(file.path).name, Path(file.path)) if is_file(path)]
    same = [path for path in there if sha256_of(path) == file.sha256]
    if same:
        return same[0]
    if there:
        raise UserError(f"{there[-1]} has changed since {made} was made from it", hint)
    raise UserError(f"{made} was made from {file.path}, which is not there", hint)


def _subject(found: _Found, dataset: Dataset, workspace: Workspace) -> Subject:
    split = found.evaluation.split if found.evaluation else None
    names = [found.run.folder.name] if found.run else read_predictions_header(found.path).runs
    runs = [found.run] if found.run else [Run(workspace.runs / name) for name in names]
    there = [run for run in runs if is_file(run.config)]
    for run in there:
        refuse_damaged_config(run)
    absent = [name for name, run in zip(names, runs, strict=True) if run not in there]
    scored = read_scored(found.path, dataset, split)
    evaluation = found.evaluation or _evaluation_of(scored, dataset, workspace)
    if found.evaluation and found.evaluation.predictions.calibration != scored.header.calibration:
        scored = calibrated_scores(scored, _calibration_of(found.evaluation, workspace))
    return Subject(found.name, scored, there, absent, evaluation)


def _calibration_of(evaluation: Evaluation, workspace: Workspace) -> Calibration:
    """The calibration that an evaluation applied. Raises UserError if it is not there or has changed."""
    applied = evaluation.predictions.calibration
    name = applied.name if applied else ""
    file = next((one for one in evaluation.provenance.inputs if Path(one.path).stem == name), None)
    if file is None:
        raise UserError(
            f"the evaluation does not say where its calibration {name} is", "evaluate again: cxrlt evaluate --overwrite"
        )
    hint = "evaluate again: cxrlt evaluate --calibrate NAME --overwrite"
    return read_calibration(_unchanged(file, workspace.calibrations, "the evaluation", hint))


def _evaluation_of(scored: Scored, dataset: Dataset, workspace: Workspace) -> Evaluation | None:
    """The newest evaluation per image of the same scores, labels and calibration; None if there is none."""
    inputs = [sha256_of(path) for path in (scored.path, dataset.path)]
    files = sorted(workspace.evaluations.glob("[!.]*/metrics.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for file in files:
        try:
            one = read_evaluation(file)
        except UserError:  # damaged, and not what was asked for
            continue
        same = [made_of.sha256 for made_of in one.provenance.inputs[:2]] == inputs and one.split == scored.split
        if same and one.per == "image" and one.predictions.calibration == scored.header.calibration:
            return one
    return None
