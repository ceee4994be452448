"""Selects the runs that score, their weights, and how they are merged: runs by name, or an ensemble."""

from dataclasses import dataclass
from pathlib import Path

from cxrlt_cli.artifacts.ensemble import Ensemble, EnsembleMember, read_ensemble
from cxrlt_cli.artifacts.files import sha256_of
from cxrlt_cli.artifacts.pack import Pack, read_pack
from cxrlt_cli.artifacts.resolve import find_ensemble, find_runs
from cxrlt_cli.artifacts.run import Run, read_status
from cxrlt_cli.console import say, warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_file
from cxrlt_cli.workspace import Workspace


@dataclass(frozen=True)
class Chosen:
    """The runs that score.

    Attributes:
        runs: their folders; none with a pack.
        weights: of the runs.
        merge: of the runs and their views.
        pipeline: the file of the ensemble, where one was named.
        pack: the content of the pack, where one was named.
    """

    runs: list[Run]
    weights: list[float]
    merge: str
    pipeline: Path | None = None
    pack: Pack | None = None

    @property
    def names(self) -> list[str]:
        """Names of the runs."""
        return [run.name for run in self.pack.runs] if self.pack else [run.folder.name for run in self.runs]


def choose_runs(names: tuple[str, ...], weights: list[float] | None, merge: str | None, workspace: Workspace) -> Chosen:
    """The runs of some names; the newest finished run if there are no names.

    Args:
        names: of folders under `runs/`, or paths.
        weights: of the runs, in the same order; None for equal weights.
        merge: geomean, mean or logits; None for geomean.
        workspace: where runs are.

    Raises:
        UserError: no such run, none at all, or one twice.
    """
    runs = find_runs(names, workspace.runs)
    _warn_of_unfinished(runs)
    return Chosen(runs, weights or [1.0] * len(runs), merge or "geomean")


def choose_pack(path: Path) -> Chosen:
    """The runs of a pack. Raises UserError where it cannot be used."""
    pack = read_pack(path)
    return Chosen([], [run.weight for run in pack.runs], pack.merge, pack=pack)


def choose_ensemble(name: str, views: int, workspace: Workspace) -> Chosen:
    """The runs and weights of an ensemble; prints a message if they were selected with another number of `views`.

    Raises:
        UserError: no such ensemble or run, or one that merges more than runs.
    """
    path = find_ensemble(name, workspace.ensembles)
    ensemble = read_ensemble(path)
    members = [member for member in ensemble.members if member.weight]
    merged = [member.name for member in members if len(member.runs) != 1]
    if merged:
        raise UserError(
            f"{path} merges predictions that are not of one run: {listed(merged)}",
            "predict with each, and merge the files: cxrlt ensemble … --apply",
        )
    runs = [_run(member, workspace) for member in members]
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise UserError(f"{path} merges several predictions of one run", "merge the files: cxrlt ensemble … --apply")
    _warn_of_unfinished(runs)
    _report(views, path, ensemble, members)
    return Chosen(runs, [member.weight for member in members], ensemble.merge, path)


def unfinished(run: Run) -> str:
    """The state of a run whose training has not ended, as in `stopped after 3 epochs`; empty for other runs.

    Raises:
        UserError: its `status.json` is damaged.
    """
    status = read_status(run)
    if status is None or status.state == "done":
        return ""
    return status.state if status.epoch is None else f"{status.state} after {status.epoch} epochs"


def _warn_of_unfinished(runs: list[Run]) -> None:
    for run in runs:
        state = unfinished(run)
        if state:
            warn(f"the training of {run.folder} has not ended ({state}): its best epoch until now is used")


def _run(member: EnsembleMember, workspace: Workspace) -> Run:
    """The run of a member: the folder of its validation scores, or the run of its name in the workspace or its studies."""
    file = Path(member.file)
    own = Run(file.parent)
    if own.validation.name != file.name or not is_file(own.best):
        of_study = Run(workspace.study_runs / member.runs[0])
        own = of_study if is_file(of_study.best) else find_runs((member.runs[0],), workspace.runs)[0]
    same = own.validation.name == file.name and is_file(own.validation)
    if same and sha256_of(own.validation) != member.sha256:
        warn(f"{own.folder} has been trained again since the ensemble was chosen")
    return own


def _report(now: int, path: Path, ensemble: Ensemble, members: list[EnsembleMember]) -> None:
    weights = ", ".join(f"{member.weight:.3f} {member.name}" for member in members)
    say(f"{path}: {weights}, merged by {ensemble.merge}")
    views = sorted({member.views for member in members})
    if views != [now]:
        say(f"weights were selected with --tta {listed(views)}; predicting with --tta {now}")
