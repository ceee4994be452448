"""From a name that a user typed to the artifact's file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.calibration import Calibration, read_calibration
from cxrlt_cli.artifacts.predictions import read_predictions_header, refuse_scores_of_another_tool
from cxrlt_cli.artifacts.run import Run, newest_finished_run
from cxrlt_cli.artifacts.run_config import read_run_config, refuse_damaged_config
from cxrlt_cli.errors import UserError, listed, nearest
from cxrlt_cli.paths import is_file, is_folder
from cxrlt_cli.workspace import Workspace, newest


def find_runs(given: tuple[str, ...], runs: Path) -> list[Run]:
    """The runs that a user named, or the newest finished one.

    Raises:
        UserError: no such run, none at all, one twice, or one whose `config.json` is damaged.
    """
    if not given:
        newest = newest_finished_run(runs)
        if newest is None:
            raise UserError(f"{runs} has no finished run", "train one: cxrlt train; or name a run's folder")
        refuse_damaged_config(newest)
        return [newest]
    found = []
    for name in given:
        folder = next((path for path in (runs / name, Path(name)) if is_folder(path)), None)
        if folder is None:
            there = sorted(path.parent.name for path in runs.glob("*/config.json"))
            raise UserError(f"{name!r} is no run{nearest(name, there)}", f"{runs} has: {', '.join(there) or 'none'}")
        found.append(Run(folder))
    if len({run.folder.resolve() for run in found}) < len(found):
        raise UserError(f"a run is named twice: {', '.join(given)}", "name each member of an ensemble once")
    for run in found:
        refuse_damaged_config(run)
    return found


@dataclass(frozen=True)
class Entry:
    """One of those compared.

    Attributes:
        name: what it is called in tables.
        path: its predictions; of a run those of its validation.
        options: what made it.
    """

    name: str
    path: Path
    options: dict[str, Any]


def find_entries(given: tuple[str, ...], workspace: Workspace) -> list[Entry]:
    """What a user named: `runs/NAME`, `predictions/NAME`, or a path to a run's folder or a predictions' file.

    Raises:
        UserError: there is none of that name, one of each kind, or one is named twice.
    """
    entries = [find_entry(name, workspace) for name in given]
    if len({entry.path.resolve() for entry in entries}) < len(entries):
        raise UserError(f"one is named twice: {', '.join(given)}", "name each once")
    if len({entry.name for entry in entries}) < len(entries):
        entries = [Entry(text, entry.path, entry.options) for text, entry in zip(given, entries, strict=True)]
    return entries


def find_entry(given: str, workspace: Workspace) -> Entry:
    """One of `find_entries`."""
    runs = [path for path in (workspace.runs / given, Path(given), workspace.root / given) if is_file(path / "config.json")]
    places = (workspace.predictions / f"{given}.parquet", workspace.predictions / given, Path(given), workspace.root / given)
    files = [path for path in places if is_file(path)]
    if runs and files:
        raise UserError(f"{given!r} is a run and predictions: {runs[0]} and {files[0]}", "name one of them by its path")
    if runs:
        run = Run(runs[0])
        if not is_file(run.validation):
            raise UserError(f"{run.validation} is not there: the run has not finished an epoch", "train it to its end")
        return Entry(run.folder.name, run.validation, _plain(read_run_config(run).options))
    if not files:
        there = [path.parent.name for path in sorted(workspace.runs.glob("*/config.json"))]
        there += [path.stem for path in sorted(workspace.predictions.glob("*.parquet"))]
        raise UserError(f"{given!r} is neither a run nor predictions{nearest(given, there)}", f"there are: {listed(there, 12)}")
    return Entry(files[0].stem, files[0], _options_of_predictions(files[0], workspace))


def _options_of_predictions(path: Path, workspace: Workspace) -> dict[str, Any]:
    """Those of predicting, and of the training of the run where it is one."""
    header = read_predictions_header(path)
    runs = header.runs
    options = _plain(header.provenance.config) | {"runs": runs}
    run = Run(workspace.runs / runs[0]) if len(runs) == 1 else None
    if run and is_file(run.config):
        options = _plain(read_run_config(run).options) | options
    return options


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Without what does not decide a score."""
    return {name: value for name, value in options.items() if name not in ("name", "resume", "overwrite", "submission", "json")}


def find_member(name: str, workspace: Workspace) -> Path:
    """The file of a member: a run's validation scores, or predictions. Raises UserError if it is neither, or a damaged run."""
    runs = [Run(workspace.runs / name), Run(Path(name)), Run(workspace.root / name)]
    files = [workspace.predictions / f"{name}.parquet", workspace.predictions / name, Path(name), workspace.root / name]
    found = next((path for path in [*(run.validation for run in runs), *files] if is_file(path)), None)
    for run in runs:
        if run.validation == found:
            refuse_damaged_config(run)
    if found is None:
        there = sorted(path.parent.name for path in workspace.runs.glob("*/validation.parquet"))
        there += sorted(path.stem for path in workspace.predictions.glob("*.parquet"))
        raise UserError(
            f"{name!r} is neither a run with validation scores nor predictions{nearest(name, there)}",
            f"{workspace.root} has: {', '.join(there) or 'none'}",
        )
    return found


def find_predictions(given: str, folder: Path) -> Path:
    """The predictions' file: by name, by path, or the newest. Raises UserError where there is none, or a foreign table."""
    if not given:
        path = newest(list(folder.glob("*.parquet")))
        if path is None:
            raise UserError(f"{folder} holds no predictions", "make some with: cxrlt predict; or name a file")
        return path
    path = next((path for path in (folder / f"{given}.parquet", folder / given, Path(given)) if is_file(path)), None)
    if path is None:
        there = sorted(path.stem for path in folder.glob("*.parquet"))
        raise UserError(
            f"{given!r} is neither a name under {folder} nor a file{nearest(given, there)}",
            f"{folder} has: {', '.join(there) or 'none'}",
        )
    refuse_scores_of_another_tool(path)
    return path


def find_calibration(given: str, folder: Path) -> Calibration:
    """Reads a calibration by name under `folder`, or by path. Raises UserError where there is none or it is damaged."""
    named = folder / f"{given}.json"
    return read_calibration(Path(given) if not is_file(named) and is_file(Path(given)) else named)


def find_features(given: str, folder: Path) -> Path:
    """The file of stored features, by name or by path. Raises UserError where there is none, or it is not finished."""
    path = next((path for path in (folder / f"{given}.h5", Path(given)) if is_file(path)), None)
    if path is None:
        there = sorted(one.stem for one in folder.glob("*.h5"))
        if is_file(folder / f"{given}.h5.part"):
            raise UserError(f"{folder / given}.h5 is not finished", "continue it with: cxrlt features … --resume")
        raise UserError(
            f"{given!r} is neither a name under {folder} nor a file{nearest(given, there)}",
            f"{folder} has: {', '.join(there) or 'none'}; make features with: cxrlt features",
        )
    return path


def find_ensemble(name: str, folder: Path) -> Path:
    """The file of an ensemble, by name or by path. Raises UserError where there is none."""
    path = next((path for path in (folder / f"{name}.json", folder / name, Path(name)) if is_file(path)), None)
    if path is None:
        there = sorted(path.stem for path in folder.glob("*.json"))
        raise UserError(f"{name!r} is no ensemble{nearest(name, there)}", f"{folder} has: {', '.join(there) or 'none'}")
    return path
