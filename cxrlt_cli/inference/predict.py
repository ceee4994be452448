"""The stage `predict`: runs and images go in, a logit a class comes out."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cxrlt_cli.artifacts.dataset import Dataset, read_dataset
from cxrlt_cli.artifacts.failures import write_failures
from cxrlt_cli.artifacts.files import check_writable, exclusive, fingerprint, refuse_existing
from cxrlt_cli.artifacts.predictions import FORMAT, Predictions, refuse_other_submission, write_predictions, write_submission
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.tables import refuse_other_table
from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.console import progress, say, warn
from cxrlt_cli.data.batches import batches, rows_in_order
from cxrlt_cli.data.images import DatasetImages
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.inference.chosen import Chosen, choose_runs
from cxrlt_cli.inference.folder import ListColumns, image_files, listed_files, read_folder
from cxrlt_cli.inference.forward import Member, load_members, score
from cxrlt_cli.inference.views import VIEWS
from cxrlt_cli.options import saved
from cxrlt_cli.pixels.settings import settings_from
from cxrlt_cli.pixels.workers import ImageFile
from cxrlt_cli.training.recipe import choose_device
from cxrlt_cli.workspace import Workspace

Judge = Callable[[torch.Tensor], np.ndarray]  # (B, S, S) uint8 to (B, C) logits
Scored = Iterator[tuple[list[str], np.ndarray]]


def predict_images(config: PredictConfig, workspace: Workspace) -> None:
    """Scores a split or a folder.

    Raises:
        UserError: bad input or output, runs that do not go together, pixels made otherwise, scores that are not finite.
    """
    chosen = choose_runs(config, workspace)
    path = workspace.predictions / f"{config.artifact_name([run.folder.name for run in chosen.runs])}.parquet"
    refuse_existing(path, config.overwrite)
    refuse_other_table(path, FORMAT)
    if config.submission:
        refuse_existing(config.submission, config.overwrite)
        refuse_other_submission(config.submission, config.id_column)
    with exclusive(path.with_name(f".{path.name}.lock")):
        _predict(config, workspace, chosen, path)


def _predict(config: PredictConfig, workspace: Workspace, chosen: Chosen, path: Path) -> None:
    device = choose_device(config.device)
    members = load_members(chosen.runs, device, chosen.weights)
    judge = partial(score, members, views=VIEWS[: config.tta], merge=chosen.merge)
    check_writable(path.parent)
    failures: dict[str, str] = {}
    inputs = [member.path for member in members] + ([chosen.recipe] if chosen.recipe else [])
    if config.images:
        scored = _score_folder(config, members, judge, failures, device)
    else:
        dataset_path = config.dataset or workspace.dataset
        dataset = read_dataset(dataset_path)
        _refuse_unlike(members, dataset)
        inputs.append(dataset_path)
        scored = _score_split(config, judge, dataset.split(config.split), device)
    parts = list(scored)
    failed = path.with_suffix(".failed.csv")
    write_failures(failed, ("image_id", "reason"), sorted(failures.items()))
    if failures:
        warn(f"{len(failures)} images cannot be read: no scores, and no row in a submission: {failed}")
    predictions = Predictions(
        [name for ids, _ in parts for name in ids],
        members[0].classes,
        np.concatenate([logits for _, logits in parts]),
        _header(config, members, chosen.merge, inputs),
    )
    _write(config, path, predictions)


def _refuse_unlike(members: list[Member], dataset: Dataset) -> None:
    """Pixels made otherwise are refused; a dataset that has changed since the training is pointed out."""
    for member in members:
        if member.pixels != dataset.settings:
            raise UserError(
                f"{member.path} learned from pixels {member.pixels}, {dataset.path} has {dataset.settings}",
                "predict on the dataset it was trained with, or cache and merge with its settings",
            )
        trained_on = member.described["provenance"]["inputs"][0]
        if trained_on["sha256"] != fingerprint(dataset.path)["sha256"]:
            warn(f"{dataset.path} is not the dataset of {member.name}'s training, which may have seen its test patients")


def _score_split(config: PredictConfig, judge: Judge, dataset: Dataset, device: torch.device) -> Scored:
    ids = dataset.table["image_id"].to_numpy()
    rows = rows_in_order(len(ids), config.batch_size)
    with progress(f"predict {config.split}", len(ids)) as bar:
        for batch in batches(dataset, DatasetImages(dataset), rows):
            yield list(ids[batch.rows]), judge(batch.to(device).images)
            bar.advance(len(batch.rows))


def _files(config: PredictConfig, folder: Path) -> dict[str, ImageFile]:
    """Image id -> file."""
    if config.only:
        return listed_files(folder, config.only, ListColumns(config.id_column, config.path_column, config.invert_column))
    return image_files(folder)


def _score_folder(
    config: PredictConfig, members: list[Member], judge: Judge, failures: dict[str, str], device: torch.device
) -> Scored:
    assert config.images is not None
    files = _files(config, config.images)
    settings = settings_from(members[0].pixels, members[0].path)
    with progress("predict", len(files)) as bar:
        for ids, pixels, reasons in read_folder(files, settings, config.batch_size, config.workers):
            failures.update(reasons)
            if ids:
                yield ids, judge(torch.from_numpy(pixels).to(device))
            bar.advance(len(ids) + len(reasons))
    if len(failures) == len(files):
        raise UserError(f"none of the {len(files)} images of {config.images} can be read: {listed(set(failures.values()))}")


def _header(config: PredictConfig, members: list[Member], merge: str, inputs: list[Path]) -> dict[str, Any]:
    several = config.tta > 1 or len(members) > 1
    return {
        "runs": [member.name for member in members],
        "split": "" if config.images else config.split,
        "views": config.tta,
        "merge": merge if several else "none",
        "members": [{"name": member.name, "weight": member.weight} for member in members],
        "pixels": members[0].pixels,
        "provenance": record(saved(config), inputs),
    }


def _write(config: PredictConfig, path: Path, predictions: Predictions) -> None:
    write_predictions(path, predictions)
    if config.submission:
        write_submission(config.submission, predictions, config.id_column)
        say(f"submission: {config.submission}")
    runs, views = (
        predictions.header["runs"],
        "1 view" if config.tta == 1 else f"{config.tta} views, {predictions.header['merge']}",
    )
    say(f"{len(predictions.image_ids)} images x {len(predictions.classes)} classes, {len(runs)} run(s), {views}: {path}")
