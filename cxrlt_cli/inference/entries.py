"""Runs and predictions as a user names them, and the options that made them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.predictions import read_predictions_header
from cxrlt_cli.artifacts.run import Run, read_json
from cxrlt_cli.errors import UserError, listed, nearest
from cxrlt_cli.workspace import Workspace


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
    runs = [path for path in (workspace.runs / given, Path(given), workspace.root / given) if (path / "config.json").is_file()]
    places = (workspace.predictions / f"{given}.parquet", workspace.predictions / given, Path(given), workspace.root / given)
    files = [path for path in places if path.is_file()]
    if runs and files:
        raise UserError(f"{given!r} is a run and predictions: {runs[0]} and {files[0]}", "name one of them by its path")
    if runs:
        run = Run(runs[0])
        if not run.validation.is_file():
            raise UserError(f"{run.validation} is not there: the run has not finished an epoch", "train it to its end")
        return Entry(run.folder.name, run.validation, _plain(read_json(run.config).get("options", {})))
    if not files:
        there = [path.parent.name for path in sorted(workspace.runs.glob("*/config.json"))]
        there += [path.stem for path in sorted(workspace.predictions.glob("*.parquet"))]
        raise UserError(f"{given!r} is neither a run nor predictions{nearest(given, there)}", f"there are: {listed(there, 12)}")
    return Entry(files[0].stem, files[0], _options_of_predictions(files[0], workspace))


def _options_of_predictions(path: Path, workspace: Workspace) -> dict[str, Any]:
    """Those of predicting, and of the training of the run where it is one."""
    header = read_predictions_header(path)
    runs = header.get("runs") or []
    options = _plain(header.get("provenance", {}).get("config", {})) | {"runs": runs}
    config = workspace.runs / str(runs[0]) / "config.json" if len(runs) == 1 else None
    if config and config.is_file():
        options = _plain(read_json(config).get("options", {})) | options
    return options


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Without what does not decide a score."""
    return {name: value for name, value in options.items() if name not in ("name", "resume", "overwrite", "submission", "json")}


def differing(options: list[dict[str, Any]], names: list[str]) -> dict[str, dict[str, Any]]:
    """Option -> entry -> value, of the options that are not the same for all; None where an entry has no such option."""
    every = dict.fromkeys(key for entry in options for key in entry)
    values = {key: [entry.get(key) for entry in options] for key in every}
    return {key: dict(zip(names, found, strict=True)) for key, found in values.items() if any(v != found[0] for v in found)}
