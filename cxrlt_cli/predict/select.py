"""Which runs score, with which weights, and how they are merged: as named, or as an ensemble says."""

from dataclasses import dataclass
from pathlib import Path

from cxrlt_cli.artifacts.ensemble import Ensemble, EnsembleMember, read_ensemble
from cxrlt_cli.artifacts.files import fingerprint
from cxrlt_cli.artifacts.resolve import find_ensemble, find_runs
from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.config.grammar import parse_weights
from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.console import say, warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_file
from cxrlt_cli.workspace import Workspace


@dataclass(frozen=True)
class Chosen:
    """Runs, a weight each, the merge of them and their views, and the file of the ensemble where one was named."""

    runs: list[Run]
    weights: list[float]
    merge: str
    pipeline: Path | None = None


def choose_runs(config: PredictConfig, workspace: Workspace) -> Chosen:
    """The runs that a user named, those of an ensemble, or the newest finished one.

    Raises:
        UserError: no such run or ensemble, none at all, one twice, or an ensemble of more than runs.
    """
    if not config.ensemble:
        runs = find_runs(config.runs, workspace.runs)
        return Chosen(runs, parse_weights(config.member_weights, len(runs)), config.merge or "geomean")
    path = find_ensemble(config.ensemble, workspace.ensembles)
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
    _tell(config, path, ensemble, members)
    return Chosen(runs, [member.weight for member in members], ensemble.merge, path)


def _run(member: EnsembleMember, workspace: Workspace) -> Run:
    """The run of a member: where its validation scores were read from, or of its name in the workspace."""
    file = Path(member.file)
    own = Run(file.parent)
    if own.validation.name != file.name or not is_file(own.best):
        own = find_runs((member.runs[0],), workspace.runs)[0]
    same = own.validation.name == file.name and is_file(own.validation)
    if same and fingerprint(own.validation)["sha256"] != member.sha256:
        warn(f"{own.folder} has been trained again since the ensemble was chosen")
    return own


def _tell(config: PredictConfig, path: Path, ensemble: Ensemble, members: list[EnsembleMember]) -> None:
    said = ", ".join(f"{member.weight:.3f} {member.name}" for member in members)
    say(f"{path}: {said}, merged by {ensemble.merge}")
    views = sorted({member.views for member in members})
    if views != [config.tta]:
        say(f"its members were judged with {listed(views)} view(s); --tta {config.tta} is used now")
