"""The stage `export`: a model as one file for other tools, compared with the run before it is written."""

from importlib import resources
from pathlib import Path

import numpy as np
import torch

from cxrlt_cli import __version__
from cxrlt_cli.artifacts.data_sources import DataSource
from cxrlt_cli.artifacts.dataset import read_dataset, require_pixels
from cxrlt_cli.artifacts.files import claimed, refuse_existing, replacing, replacing_together, write_text
from cxrlt_cli.artifacts.parsing import as_json
from cxrlt_cli.config.export import ExportConfig
from cxrlt_cli.console import say, warn
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.predict.members import Member, load_members
from cxrlt_cli.predict.score import score
from cxrlt_cli.predict.tta import VIEWS
from cxrlt_cli.results import ExportedModel
from cxrlt_cli.share.formats import Scores, onnx_bytes, onnx_scores, require_onnx, torch_bytes, torch_scores
from cxrlt_cli.share.graph import ScoringGraph, program_of
from cxrlt_cli.share.model_description import choose_model, describe_model
from cxrlt_cli.sources.terms import agreements_of
from cxrlt_cli.workspace import Workspace

FORMAT, VERSION = "cxrlt export", 1
#: Largest difference of a logit of the file to that of the run.
MOST_DIFFERENCE = 1e-4
_BATCH = 16


def export_model(config: ExportConfig, workspace: Workspace) -> ExportedModel:
    """Writes a model as one file, and for ONNX a script beside it that needs no cxrlt.

    Raises:
        UserError: no such model, dataset, calibration or evaluation; a fused run; a network that cannot be exported; logits
            that differ from the run's; an existing output; a package that is not installed.
    """
    if config.format == "onnx":
        require_onnx()
    choice = choose_model(config.model, workspace)
    path = workspace.exports / f"{config.name or choice.name}.{'onnx' if config.format == 'onnx' else 'pt2'}"
    script = path.with_suffix(".py")
    others = [script] if config.format == "onnx" else []
    for file in (path, *others):
        refuse_existing(file, config.overwrite)
    with claimed(path, config.overwrite, *others):
        members = load_members(choice.runs, torch.device("cpu"), choice.chosen.weights)
        _refuse_fused(members)
        first = members[0]
        about = describe_model(choice, first.classes, first.pixels, config.calibrate, config.evaluation, workspace)
        images = _images(config.dataset or workspace.dataset, first, config.compare)
        expected = _in_batches(lambda part: score(members, VIEWS[:1], choice.chosen.merge, torch.from_numpy(part)), images)
        program = program_of(ScoringGraph(members, choice.chosen.merge), int(first.pixels["size"]))
        make, scores_of = (onnx_bytes, onnx_scores) if config.format == "onnx" else (torch_bytes, torch_scores)
        sources = about.learned_from([member.config for member in members])
        described = {**about.saved(), "data_sources": as_json(sources)}
        content = make(program, {"format": FORMAT, "version": VERSION, "cxrlt": __version__, **described})
        difference = compared(scores_of(content), images, expected)
        with replacing_together():
            with replacing(path) as aside:
                aside.write_bytes(content)
            for file in others:
                write_text(file, script_text())
    say(f"{len(images)} images: logits differ by at most {difference:.1e} from those of {choice.name}: {path}")
    _warn_of_agreements(choice.name, sources)
    if others:
        say(f"without cxrlt: python {script} IMAGE …")
        _warn_of_clahe(first)
    return ExportedModel(path, script if others else None, about.classes, len(images), difference)


def script_text() -> str:
    """The script that scores image files with an exported ONNX model."""
    return (resources.files("cxrlt_cli.share") / "templates/score_images.py").read_text(encoding="utf-8")


def compared(scores: Scores, images: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference of a logit, over images scored in batches and the first image scored alone.

    Args:
        scores: of the exported file.
        images: (N, S, S) uint8.
        expected: (N, C) logits of the run.

    Raises:
        UserError: it is more than `MOST_DIFFERENCE`, or a logit is not finite.
    """
    found = np.concatenate([_in_batches(scores, images), scores(images[:1])])
    difference = float(np.abs(found - np.concatenate([expected, expected[:1]])).max())
    if not difference <= MOST_DIFFERENCE:  # also where it is NaN
        raise UserError(
            f"the exported model is not written: its logits differ by {difference:.3g} from the run's on {len(images)} images",
            f"at most {MOST_DIFFERENCE} is accepted; try the other --format, or another version of torch or ONNX Runtime",
        )
    return difference


def _in_batches(scores: Scores, images: np.ndarray) -> np.ndarray:
    return np.concatenate([scores(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)])


def _images(path: Path, member: Member, count: int) -> np.ndarray:
    """(N, S, S) uint8 images of a dataset, evenly spaced over its rows; all if it has fewer than `count`."""
    dataset = read_dataset(path)
    require_pixels(dataset)
    if dataset.settings != member.pixels:
        raise UserError(
            f"{member.path} learned from pixels {member.pixels}, {path} has {dataset.settings}",
            "name a dataset with the pixels of the run: --dataset FILE",
        )
    rows = np.unique(np.linspace(0, len(dataset.table) - 1, count).round().astype(np.int64))
    return DatasetImages(dataset).read(rows)


def _refuse_fused(members: list[Member]) -> None:
    fused = [member.name for member in members if member.fusion]
    if fused:
        raise UserError(
            f"{fused[0]} is a fused run, which scores the images of a study together",
            "export the run that it was fused from",
        )


def _warn_of_agreements(name: str, sources: list[DataSource] | None) -> None:
    if sources is None:
        warn(f"{name} does not record from which sources it learned: know their terms before you pass the file on")
    elif agreements_of(sources):
        warn(
            f"{name} learned from images given out under an agreement: {listed(agreements_of(sources))}; "
            "give the file only to people who signed the same one"
        )


def _warn_of_clahe(member: Member) -> None:
    if member.pixels.get("clahe"):
        warn("the script has no CLAHE (--clahe): give it images that cxrlt cache made")
