"""The runs of a workspace, one record each: what `cxrlt runs` shows."""

import dataclasses
import shlex
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.evaluation import MeanAP, read_mean_ap
from cxrlt_cli.artifacts.predictions import PredictionsHeader, read_predictions_header
from cxrlt_cli.artifacts.run import Run, RunStatus, is_held, read_history, read_status
from cxrlt_cli.artifacts.run_config import RunConfig, read_run_config
from cxrlt_cli.config.saved_options import deciding_options, flag_of_saved
from cxrlt_cli.errors import UserError
from cxrlt_cli.paths import children, exists, is_file, is_folder
from cxrlt_cli.workspace import Workspace


@dataclass(frozen=True)
class RunRow:
    """A run.

    Attributes:
        name: of its folder.
        state: `done`, `running`, `stopped`, `killed` (no process trains it), `failed`, `not started` or `damaged`.
        note: why it stopped, failed, ended early, or is damaged.
        epochs: validated epochs.
        of_epochs: epochs of the whole training; None for a damaged run.
        val_map: the highest validation mAP, within 0 ... 1; None before the first epoch.
        test: mAP of its newest evaluation on the test split since it was trained.
        hours: from its start to its last saved state, pauses included.
        bytes: size of its folder.
        options: the flags that differ between the runs -> value.
        next: the command to type next; empty if there is nothing to do.
        removable: `last.pt`, where resuming no longer needs it.
    """

    name: str
    state: str
    note: str = ""
    epochs: int = 0
    of_epochs: int | None = None
    val_map: float | None = None
    test: MeanAP | None = None
    hours: float | None = None
    bytes: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    next: str = ""
    removable: Path | None = None


@dataclass(frozen=True)
class _Scores:
    """The readable predictions (name -> header) and evaluations of a workspace."""

    predictions: dict[str, PredictionsHeader]
    evaluations: list[MeanAP]


def run_rows(workspace: Workspace) -> list[RunRow]:
    """A record for each run of the workspace, by name. A damaged run has the state `damaged`; it hides no other.

    Raises:
        UserError: the workspace or its `runs` is something else than a folder, or cannot be read.
    """
    _refuse_no_folder(workspace)
    inside = children(workspace.runs) if exists(workspace.runs) else []
    folders = [path for path in inside if is_folder(path) and not path.name.startswith(".")]
    scores = _scores(workspace)
    rows, options = [], {}
    for folder in folders:
        run = Run(folder)
        try:
            config, status = read_run_config(run), read_status(run)
            rows.append(_row(run, config, status, scores))
            options[folder.name] = deciding_options(config.options) if config.class_weights is not None else {}
        except UserError as error:
            rows.append(RunRow(folder.name, "damaged", error.message, bytes=_bytes(folder)))
    differing = _differing([found for found in options.values() if found])
    return [
        dataclasses.replace(row, options={flag_of_saved(name): options[row.name][name] for name in differing})
        if options.get(row.name)
        else row
        for row in rows
    ]


def _refuse_no_folder(workspace: Workspace) -> None:
    hint = "name another workspace: --workspace, CXRLT_WORKSPACE"
    if not is_folder(workspace.root):
        raise UserError(f"{workspace.root} is not a folder", hint)
    if exists(workspace.runs) and not is_folder(workspace.runs):
        raise UserError(f"{workspace.runs} is not a folder", hint)


def _differing(options: list[dict[str, Any]]) -> list[str]:
    """Names of the options that do not have the same value in all runs."""
    return [name for name in (options[0] if options else ()) if any(one[name] != options[0][name] for one in options)]


def _row(run: Run, config: RunConfig, status: RunStatus | None, scores: _Scores) -> RunRow:
    history = read_history(run) if is_file(run.history) else []
    if status is not None and status.state == "done" and not is_file(run.best):
        raise UserError(f"{run.best} is missing")
    state: str = status.state if status else "not started"
    if state == "running" and not is_held(run):
        state = "killed"
    name, total = run.folder.name, config.options.get("epochs")
    trained_until = status.time if status else ""
    tests = [one for one in scores.evaluations if one.runs == [name] and one.split == "test" and one.time >= trained_until]
    test = max(tests, key=lambda one: one.time, default=None)
    whole = status is not None and status.state == "done" and (total is None or (status.epoch or 0) >= total)
    return RunRow(
        name,
        state,
        (status.reason or "") if status else "",
        sum(epoch["epoch"] > 0 for epoch in history),  # epoch 0 of a fused run is the mean before the first step
        total,
        max((epoch["mAP"] for epoch in history), default=None),
        test,
        _hours(config.provenance.time, trained_until),
        _bytes(run.folder),
        next=_next(run, state, config, scores, test),
        removable=run.last if whole and is_file(run.last) else None,
    )


def _next(run: Run, state: str, config: RunConfig, scores: _Scores, test: MeanAP | None) -> str:
    """The command that brings a run one step further."""
    name = shlex.quote(run.folder.name)
    if state == "running":
        return ""
    if state != "done":
        command = [word for word in config.provenance.command if word != "--overwrite"]
        if command[:2] != ["cxrlt", "train"]:
            return ""
        return shlex.join([*command, *([] if "--resume" in command else ["--resume"])])
    if test is not None:
        return f"cxrlt report {shlex.quote(test.evaluation)}"
    scored = [key for key, one in scores.predictions.items() if one.runs == [run.folder.name] and one.split == "test"]
    return f"cxrlt evaluate {shlex.quote(scored[0])}" if scored else f"cxrlt predict {name}"


def _scores(workspace: Workspace) -> _Scores:
    predictions, evaluations = {}, []
    for path in sorted(workspace.predictions.glob("*.parquet")):
        try:
            predictions[path.stem] = read_predictions_header(path)
        except UserError:
            continue  # `cxrlt info` says what is wrong with it
    for path in sorted(workspace.evaluations.glob("*/metrics.json")):
        try:
            evaluations.append(read_mean_ap(path.parent))
        except UserError:
            continue
    return _Scores(predictions, evaluations)


def _hours(start: str, end: str) -> float | None:
    try:
        return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() / 3600
    except (ValueError, TypeError):  # an earlier version did not save it
        return None


def _bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # a file that a training run has just renamed
            total += path.lstat().st_size if is_file(path) else 0
    return total


def record_of(row: RunRow) -> dict[str, Any]:
    """A run as JSON: paths as text."""
    found = dataclasses.asdict(row)
    return found | {"removable": str(row.removable) if row.removable else None}
