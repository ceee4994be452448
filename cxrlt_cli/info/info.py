"""The command `info`: describes an artifact, recognised by its content and not by its name."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cxrlt_cli.artifacts.calibration import FORMAT as CALIBRATION
from cxrlt_cli.artifacts.dataset import FORMAT as DATASET
from cxrlt_cli.artifacts.embeddings import FORMAT as EMBEDDINGS
from cxrlt_cli.artifacts.features_file import FEATURES
from cxrlt_cli.artifacts.files import refuse_existing
from cxrlt_cli.artifacts.predictions import FORMAT as PREDICTIONS
from cxrlt_cli.artifacts.provenance import made_by
from cxrlt_cli.artifacts.row_layout import format_of
from cxrlt_cli.artifacts.source_table import FORMAT as SOURCE_TABLE
from cxrlt_cli.artifacts.tables import read_any_header
from cxrlt_cli.config.info import InfoConfig
from cxrlt_cli.console import data, escaped, say
from cxrlt_cli.errors import UserError
from cxrlt_cli.info.describe_dataset import describe_dataset, draw_dataset
from cxrlt_cli.info.describe_features import describe_features
from cxrlt_cli.info.describe_images import describe_images, draw_images
from cxrlt_cli.info.describe_others import (
    describe_calibration,
    describe_comparison,
    describe_corrections,
    describe_embeddings,
    describe_ensemble,
    describe_evaluation,
    describe_predictions,
    describe_run,
    describe_source_table,
)
from cxrlt_cli.info.describe_pack import describe_pack
from cxrlt_cli.info.description import Description
from cxrlt_cli.paths import exists, is_file, is_folder
from cxrlt_cli.results import ArtifactFacts
from cxrlt_cli.workspace import Workspace

_KINDS = (
    "a dataset, images/NAME.h5 or .parquet, features/NAME.h5, label embeddings, predictions, a calibration, an ensemble, "
    "a pack, the folder of a run, an evaluation, a comparison or a result of clean"
)


@dataclass(frozen=True)
class _Kind:
    """Functions that describe and plot a kind of artifact."""

    describe: Callable[[Path], Description]
    draw: Callable[[Path, Path], None] | None = None


_TABLES = {
    DATASET: _Kind(describe_dataset, draw_dataset),
    SOURCE_TABLE: _Kind(describe_source_table),
    EMBEDDINGS: _Kind(describe_embeddings),
    PREDICTIONS: _Kind(describe_predictions),
}


def describe_artifact(config: InfoConfig, workspace: Workspace) -> ArtifactFacts:
    """Prints the description of an artifact, and plots it if asked for.

    Raises:
        UserError: the artifact is missing, damaged, of unknown kind, or cannot be plotted.
    """
    assert config.path is not None
    path = config.path if exists(config.path) else workspace.root / config.path
    kind = _kind(path)
    if config.figure:
        if kind.draw is None:
            raise UserError(f"{path} cannot be plotted", "only a dataset and images/NAME.h5 can be plotted")
        refuse_existing(config.figure, config.overwrite)
    description = kind.describe(path)
    facts = description.facts | made_by(description.provenance)
    data(json.dumps(facts, indent=1) if config.json else _as_text(path, description))
    if config.figure and kind.draw:
        kind.draw(path, config.figure)
        say(f"figure: {config.figure}")
    return ArtifactFacts(path, facts)


_FOLDERS = {
    "metrics.json": _Kind(describe_evaluation),
    "comparison.json": _Kind(describe_comparison),
    "corrections.json": _Kind(describe_corrections),
    "config.json": _Kind(describe_run),
}


def _kind(path: Path) -> _Kind:
    if is_folder(path):
        kind = next((kind for name, kind in _FOLDERS.items() if is_file(path / name)), None)
        if kind is None:
            raise UserError(
                f"{path} is a folder, but not a run, an evaluation, a comparison or a result of clean", f"name {_KINDS}"
            )
        return kind
    if not is_file(path):
        raise UserError(f"{path} is not there", f"name {_KINDS}")
    if path.suffix == ".json":
        with path.open("rb") as file:
            return _Kind(describe_calibration if CALIBRATION.encode() in file.read(256) else describe_ensemble)
    return _kind_of_content(path)


def _kind_of_content(path: Path) -> _Kind:
    with path.open("rb") as file:
        start = file.read(8)
    if start == b"\x89HDF\r\n\x1a\n":
        return _Kind(describe_features) if format_of(path) == FEATURES.name else _Kind(describe_images, draw_images)
    if start[:2] == b"PK" and path.suffix == ".zip":  # checkpoints of torch are zip files, too
        return _Kind(describe_pack)
    if start[:4] == b"PAR1":
        found = read_any_header(path).get("format")
        if found in _TABLES:
            return _TABLES[found]
        raise UserError(f"{path} is {found or 'a Parquet file not written by cxrlt'}", f"name {_KINDS}")
    raise UserError(f"{path} is not an artifact of cxrlt", f"name {_KINDS}")


def _as_text(path: Path, description: Description) -> str:
    lines = [escaped(f"{path}: {description.what}"), ""]
    lines += [escaped(f"{name + ':':<23} {value}") for name, value in description.lines]
    for name, value in made_by(description.provenance).items():
        if value:
            text = ", ".join(value) if isinstance(value, list) else value
            lines.append(escaped(f"{name.replace('_', ' ') + ':':<23} {text}"))
    return "\n".join([*lines, *(f"\n{table}" for table in description.tables)])
