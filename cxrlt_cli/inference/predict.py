"""The stage `predict`: runs and images go in, a logit a class comes out."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cxrlt_cli.artifacts.dataset import Dataset, read_dataset
from cxrlt_cli.artifacts.failures import write_failures
from cxrlt_cli.artifacts.files import check_writable, exclusive, fingerprint, refuse_existing
from cxrlt_cli.artifacts.predictions import FORMAT, Predictions, refuse_other_submission, write_predictions, write_submission
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.artifacts.tables import refuse_other_table
from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.console import progress, say, warn
from cxrlt_cli.data.batches import batches, rows_in_order
from cxrlt_cli.data.images import DatasetImages
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.inference.folder import ListColumns, image_files, listed_files, read_folder
from cxrlt_cli.inference.forward import Member, find_runs, load_members, score
from cxrlt_cli.inference.views import VIEWS
from cxrlt_cli.options import saved
from cxrlt_cli.pixels.settings import settings_from
from cxrlt_cli.pixels.workers import ImageFile
from cxrlt_cli.training.distributed import Ranks, joined_ranks
from cxrlt_cli.training.recipe import choose_device
from cxrlt_cli.workspace import Workspace

Part = tuple[list[str], np.ndarray]  # the ids of a batch and their (B, C) logits


def predict_images(config: PredictConfig, workspace: Workspace) -> None:
    """Scores a split or a folder; as one of several processes where torchrun or srun started them, each its share of batches.

    Raises:
        UserError: bad input or output, runs that do not go together, pixels made otherwise, scores that are not finite.
    """
    with joined_ranks(_RANK_TIMEOUT) as ranks, ExitStack() as held:
        with ranks.agreed():
            runs = find_runs(config.runs, workspace.runs)
            path = workspace.predictions / f"{config.artifact_name([run.folder.name for run in runs])}.parquet"
            if ranks.first:
                _refuse_outputs(config, path)
                held.enter_context(exclusive(path.with_name(f".{path.name}.lock")))
        _predict(ranks, config, workspace, runs, path)


_RANK_TIMEOUT = 6 * 3600.0  # seconds: a rank whose share is slower is waited for


def _refuse_outputs(config: PredictConfig, path: Path) -> None:
    refuse_existing(path, config.overwrite)
    refuse_other_table(path, FORMAT)
    if config.submission:
        refuse_existing(config.submission, config.overwrite)
        refuse_other_submission(config.submission, config.id_column)


def _predict(ranks: Ranks, config: PredictConfig, workspace: Workspace, runs: list[Run], path: Path) -> None:
    failures: dict[str, str] = {}
    with ranks.agreed():
        device = choose_device(config.device, ranks.local)
        members = load_members(runs, device)
        if ranks.first:
            check_writable(path.parent)
        inputs = [member.path for member in members]
        if config.images:
            files = _files(config, config.images)
            scored = _score_folder(config, members, _share(files, config.batch_size, ranks), failures, device)
        else:
            dataset_path = config.dataset or workspace.dataset
            dataset = read_dataset(dataset_path)
            _refuse_unlike(members, dataset)
            inputs.append(dataset_path)
            scored = _score_split(config, members, dataset.split(config.split), device, ranks)
        parts = list(scored)
    shares = ranks.at_first((parts, failures))
    if shares:
        _join(config, path, shares, _header(config, members, inputs))


def _share(files: dict[str, ImageFile], batch_size: int, ranks: Ranks) -> dict[str, ImageFile]:
    """The files of this rank's batches: of `world` batches in a row, the one of its number."""
    names = list(files)
    starts = range(ranks.rank * batch_size, len(names), ranks.world * batch_size)
    return {name: files[name] for start in starts for name in names[start : start + batch_size]}


def _join(config: PredictConfig, path: Path, shares: list[tuple[list[Part], dict[str, str]]], header: dict[str, Any]) -> None:
    """Puts the ranks' batches together in the order of the images, and writes them."""
    rounds = zip_longest(*(parts for parts, _ in shares))
    parts = [part for batches in rounds for part in batches if part is not None]
    failures = {name: why for _, failed in shares for name, why in failed.items()}
    ids = [name for names, _ in parts for name in names]
    if not ids:
        raise UserError(f"none of the {len(failures)} images of {config.images} can be read: {listed(set(failures.values()))}")
    failed = path.with_suffix(".failed.csv")
    write_failures(failed, ("image_id", "reason"), sorted(failures.items()))
    if failures:
        warn(f"{len(failures)} images cannot be read: no scores, and no row in a submission: {failed}")
    logits = np.concatenate([scores for _, scores in parts])
    _write(config, path, Predictions(ids, header.pop("classes"), logits, header))


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


def _score_split(
    config: PredictConfig, members: list[Member], dataset: Dataset, device: torch.device, ranks: Ranks
) -> Iterator[Part]:
    ids = dataset.table["image_id"].to_numpy()
    rows = rows_in_order(len(ids), config.batch_size)[ranks.rank :: ranks.world]
    with progress(f"predict {config.split}", sum(map(len, rows))) as bar:
        for batch in batches(dataset, DatasetImages(dataset), rows):
            yield list(ids[batch.rows]), score(members, batch.to(device).images, VIEWS[: config.tta], config.merge)
            bar.advance(len(batch.rows))


def _files(config: PredictConfig, folder: Path) -> dict[str, ImageFile]:
    """Image id -> file."""
    if config.only:
        return listed_files(folder, config.only, ListColumns(config.id_column, config.path_column, config.invert_column))
    return image_files(folder)


def _score_folder(
    config: PredictConfig, members: list[Member], files: dict[str, ImageFile], failures: dict[str, str], device: torch.device
) -> Iterator[Part]:
    assert config.images is not None
    settings = settings_from(members[0].pixels, members[0].path)
    with progress("predict", len(files)) as bar:
        for ids, pixels, reasons in read_folder(files, settings, config.batch_size, config.workers):
            failures.update(reasons)
            if ids:
                yield ids, score(members, torch.from_numpy(pixels).to(device), VIEWS[: config.tta], config.merge)
            else:
                yield [], np.empty((0, len(members[0].classes)), dtype=np.float32)
            bar.advance(len(ids) + len(reasons))


def _header(config: PredictConfig, members: list[Member], inputs: list[Path]) -> dict[str, Any]:
    several = config.tta > 1 or len(members) > 1
    return {
        "runs": [member.name for member in members],
        "split": "" if config.images else config.split,
        "views": config.tta,
        "merge": config.merge if several else "none",
        "classes": members[0].classes,
        "pixels": members[0].pixels,
        "provenance": record(saved(config), inputs),
    }


def _write(config: PredictConfig, path: Path, predictions: Predictions) -> None:
    write_predictions(path, predictions)
    if config.submission:
        write_submission(config.submission, predictions, config.id_column)
        say(f"submission: {config.submission}")
    runs, views = predictions.header["runs"], "1 view" if config.tta == 1 else f"{config.tta} views, {config.merge}"
    say(f"{len(predictions.image_ids)} images x {len(predictions.classes)} classes, {len(runs)} run(s), {views}: {path}")
