"""The stage `predict`: runs and images go in, a logit a class comes out."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.dataset import Dataset, read_dataset
from cxrlt_cli.artifacts.failures import write_failures
from cxrlt_cli.artifacts.files import check_writable, exclusive, fingerprint, refuse_existing
from cxrlt_cli.artifacts.predictions import FORMAT, Predictions, refuse_other_submission, write_predictions, write_submission
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.tables import refuse_other_table
from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.config.study import parse_study
from cxrlt_cli.console import say, warn
from cxrlt_cli.data.studies import Studies, studies_of_dataset
from cxrlt_cli.errors import UserError
from cxrlt_cli.inference.chosen import Chosen, choose_runs
from cxrlt_cli.inference.folder import ListColumns, image_files, listed_files
from cxrlt_cli.inference.forward import Member, load_members, score
from cxrlt_cli.inference.scoring import Scored, score_folder, score_split
from cxrlt_cli.inference.study_merging import merge_studies, studies_of_list
from cxrlt_cli.inference.views import VIEWS
from cxrlt_cli.options import saved
from cxrlt_cli.pixels.settings import settings_from
from cxrlt_cli.pixels.workers import ImageFile
from cxrlt_cli.training.recipe import choose_device
from cxrlt_cli.workspace import Workspace


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
    judge = partial(score, members, VIEWS[: config.tta], chosen.merge)
    check_writable(path.parent)
    failures: dict[str, str] = {}
    inputs = [member.path for member in members] + ([chosen.recipe] if chosen.recipe else [])
    whole = any(member.fusion for member in members)
    if config.images:
        files = _files(config, config.images)
        ids = list(files)
        studies = _studies_of_list(config, ids, whole)
        settings = settings_from(members[0].pixels, members[0].path)
        scored = score_folder(config, judge, files, settings, studies.codes if studies and whole else None, failures)
    else:
        dataset = read_dataset(config.dataset or workspace.dataset)
        _refuse_unlike(members, dataset)
        inputs.append(dataset.path)
        part = dataset.split(config.split)
        ids = list(part.table["image_id"])
        studies = studies_of_dataset(part) if whole or parse_study(config.study) else None
        scored = score_split(config, judge, part, studies.codes if studies and whole else None, device)
    rows, logits = _in_order(scored)
    failed = path.with_suffix(".failed.csv")
    write_failures(failed, ("image_id", "reason"), sorted(failures.items()))
    if failures:
        warn(f"{len(failures)} images cannot be read: no scores, and no row in a submission: {failed}")
    ids = [ids[row] for row in rows]
    if studies:
        logits = merge_studies(logits, studies.of(ids), chosen.merge, config.study)
    _write(config, path, Predictions(ids, members[0].classes, logits, _header(config, members, chosen.merge, inputs)))


def _in_order(scored: Scored) -> tuple[np.ndarray, np.ndarray]:
    """(N,) rows and (N, C) logits in the order of rows, whatever that of the batches was."""
    parts = list(scored)
    rows, logits = np.concatenate([rows for rows, _ in parts]), np.concatenate([logits for _, logits in parts])
    order = np.argsort(rows)
    return rows[order], logits[order]


def _studies_of_list(config: PredictConfig, ids: list[str], whole: bool) -> Studies | None:
    """The studies that `--list` tells of, where they are needed."""
    if whole and not config.only:
        raise UserError("a fused run with --images needs --list", "that table says which images are of one study")
    if config.only and (whole or parse_study(config.study)):
        return studies_of_list(config.only, config.id_column, config.study_column, config.view_column).of(ids)
    return None


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


def _files(config: PredictConfig, folder: Path) -> dict[str, ImageFile]:
    """Image id -> file."""
    if config.only:
        return listed_files(folder, config.only, ListColumns(config.id_column, config.path_column, config.invert_column))
    return image_files(folder)


def _header(config: PredictConfig, members: list[Member], merge: str, inputs: list[Path]) -> dict[str, Any]:
    several = config.tta > 1 or len(members) > 1
    return {
        "runs": [member.name for member in members],
        "split": "" if config.images else config.split,
        "views": config.tta,
        "merge": merge if several else "none",
        "members": [{"name": member.name, "weight": member.weight} for member in members],
        "study": "fused" if any(member.fusion for member in members) else config.study,
        "pixels": members[0].pixels,
        "provenance": record(saved(config), inputs),
    }


def _write(config: PredictConfig, path: Path, predictions: Predictions) -> None:
    write_predictions(path, predictions)
    if config.submission:
        write_submission(config.submission, predictions, config.id_column)
        say(f"submission: {config.submission}")
    runs, merge = predictions.header["runs"], predictions.header["merge"]
    views = "1 view" if config.tta == 1 else f"{config.tta} views, {merge}"
    say(f"{len(predictions.image_ids)} images x {len(predictions.classes)} classes, {len(runs)} run(s), {views}: {path}")
