"""The stage `predict`: runs and images go in, a logit a class comes out."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.calibration import Calibration
from cxrlt_cli.artifacts.dataset import Dataset, read_dataset
from cxrlt_cli.artifacts.failures import write_failures
from cxrlt_cli.artifacts.files import check_writable, claimed, fingerprint, refuse_existing, replacing_together
from cxrlt_cli.artifacts.predictions import FORMAT, Predictions, refuse_other_submission, write_predictions, write_submission
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.resolve import find_calibration
from cxrlt_cli.artifacts.tables import refuse_other_table
from cxrlt_cli.compute.device import choose_device, choose_precision
from cxrlt_cli.compute.distributed import Ranks, join_ranks
from cxrlt_cli.config.grammar import parse_study
from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.console import say, warn
from cxrlt_cli.data.studies import Studies, studies_of_table
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.machine import keep_memory
from cxrlt_cli.options import saved
from cxrlt_cli.predict.batches import batches_of, score_folder, score_split
from cxrlt_cli.predict.folder import ListColumns, image_files, listed_files, refuse_all_absent
from cxrlt_cli.predict.members import Member, load_members
from cxrlt_cli.predict.merge_studies import merge_studies, studies_of_list
from cxrlt_cli.predict.score import score
from cxrlt_cli.predict.select import Chosen, choose_runs
from cxrlt_cli.predict.tta import VIEWS
from cxrlt_cli.preprocess.decode_workers import ImageFile
from cxrlt_cli.preprocess.settings import settings_from
from cxrlt_cli.scores.apply_calibration import apply_calibration, refuse_other_classes
from cxrlt_cli.workspace import Workspace


def predict_images(config: PredictConfig, workspace: Workspace) -> None:
    """Scores a split or a folder; as one of several processes where torchrun or srun started them, each its share of batches.

    Raises:
        UserError: bad input or output, runs that do not go together, pixels made otherwise, scores that are not finite.
    """
    keep_memory()
    with join_ranks(_RANK_TIMEOUT) as ranks, ExitStack() as held:
        with ranks.fail_together():
            chosen = choose_runs(config, workspace)
            path = workspace.predictions / f"{config.artifact_name([run.folder.name for run in chosen.runs])}.parquet"
            if ranks.is_rank_zero:
                _refuse_outputs(config, path)
                held.enter_context(claimed(path, config.overwrite, *_others(config, path)))
        _predict(ranks, config, workspace, chosen, path)


_RANK_TIMEOUT = 6 * 3600.0  # seconds: a rank whose share is slower is waited for


def _others(config: PredictConfig, path: Path) -> list[Path]:
    """The files that are written together with the scores."""
    return [path.with_suffix(".failed.csv"), *([config.submission] if config.submission else [])]


def _refuse_outputs(config: PredictConfig, path: Path) -> None:
    refuse_existing(path, config.overwrite)
    refuse_other_table(path, FORMAT)
    if config.submission:
        refuse_existing(config.submission, config.overwrite)
        refuse_other_submission(config.submission, config.id_column)


def _predict(ranks: Ranks, config: PredictConfig, workspace: Workspace, chosen: Chosen, path: Path) -> None:
    failures: dict[str, str] = {}
    with ranks.fail_together():
        device = choose_device(config.device, ranks.local)
        precision = choose_precision(config.precision, device)
        members = load_members(chosen.runs, device, chosen.weights)
        inputs = [fingerprint(path) for path in (*(member.path for member in members), *filter(None, [chosen.pipeline]))]
        if ranks.is_rank_zero:
            check_writable(path.parent)
        score_batch = partial(score, members, VIEWS[: config.tta], chosen.merge, precision=precision)
        whole = any(member.fusion for member in members)
        calibration = _calibration(config, workspace, members[0].classes)
        if calibration:
            inputs.append(fingerprint(calibration.path))
        if config.images:
            files = _files(config, config.images)
            ids = list(files)
            studies = _studies_of_list(config, ids, whole)
            share = batches_of(len(ids), studies.codes if studies and whole else None, config.batch_size, ranks)
            settings = settings_from(members[0].pixels, members[0].path)
            scored = score_folder(config, score_batch, files, settings, share, failures)
        else:
            dataset = read_dataset(config.dataset or workspace.dataset)
            inputs.append(fingerprint(dataset.path))
            _refuse_unlike(members, dataset, inputs[-1]["sha256"])
            part = dataset.split(config.split)
            ids = list(part.table["image_id"])
            studies = studies_of_table(part.table) if whole or parse_study(config.study) else None
            share = batches_of(len(ids), studies.codes if studies and whole else None, config.batch_size, ranks)
            scored = score_split(config, score_batch, part, share, device)
        parts = list(scored)
    rows = np.concatenate([np.empty(0, np.int64), *(rows for rows, _ in parts)])
    logits = np.concatenate([np.empty((0, len(members[0].classes)), np.float32), *(logits for _, logits in parts)])
    every = ranks.gather_arrays(rows), ranks.gather_arrays(logits), ranks.gather(failures)
    if ranks.is_rank_zero:
        header = _header(config, members, chosen.merge, inputs)
        _join(config, path, every, Predictions(ids, members[0].classes, np.empty(0), header), studies, calibration)


def _join(
    config: PredictConfig,
    path: Path,
    every: tuple[list[np.ndarray], list[np.ndarray], list[dict[str, str]]],
    wanted: Predictions,
    studies: Studies | None,
    calibration: Calibration | None,
) -> None:
    """Puts every rank's rows, logits and failures together in the order of the images, and writes `wanted` with its logits."""
    rows, logits = np.concatenate(every[0]), np.concatenate(every[1])
    failures = {name: why for failed in every[2] for name, why in failed.items()}
    if not len(rows):
        raise UserError(f"none of the {len(failures)} images of {config.images} can be read: {listed(set(failures.values()))}")
    order = np.argsort(rows)
    ids, logits = [wanted.image_ids[row] for row in rows[order]], logits[order]
    if studies:
        logits = merge_studies(logits, studies.of(ids), wanted.header["merge"], config.study)
    predictions = Predictions(ids, wanted.classes, logits, wanted.header)
    _write(config, path, apply_calibration(predictions, calibration) if calibration else predictions, failures)


def _calibration(config: PredictConfig, workspace: Workspace, classes: list[str]) -> Calibration | None:
    if not config.calibrate:
        return None
    calibration = find_calibration(config.calibrate, workspace.calibrations)
    refuse_other_classes(calibration, classes)
    return calibration


def _studies_of_list(config: PredictConfig, ids: list[str], whole: bool) -> Studies | None:
    """The studies that `--list` tells of, where they are needed."""
    if whole and not config.only:
        raise UserError("a fused run with --images needs --list", "that table says which images are of one study")
    if config.only and (whole or parse_study(config.study)):
        return studies_of_list(config.only, config.id_column, config.study_column, config.view_column).of(ids)
    return None


def _refuse_unlike(members: list[Member], dataset: Dataset, sha256: str) -> None:
    """Pixels made otherwise are refused; a dataset that has changed since the training is pointed out."""
    for member in members:
        if member.pixels != dataset.settings:
            raise UserError(
                f"{member.path} learned from pixels {member.pixels}, {dataset.path} has {dataset.settings}",
                "predict on the dataset it was trained with, or cache and merge with its settings",
            )
        trained_on = member.described["provenance"]["inputs"][0]
        if trained_on["sha256"] != sha256:
            warn(f"{dataset.path} is not the dataset of {member.name}'s training, which may have seen its test patients")


def _files(config: PredictConfig, folder: Path) -> dict[str, ImageFile]:
    """Image id -> file."""
    if config.only:
        columns = ListColumns(config.id_column, config.path_column, config.invert_column)
        files = listed_files(folder, config.only, columns)
        refuse_all_absent(files, config.only)
        return files
    return image_files(folder)


def _header(config: PredictConfig, members: list[Member], merge: str, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    several = config.tta > 1 or len(members) > 1 or parse_study(config.study)
    return {
        "runs": [member.name for member in members],
        "split": "" if config.images else config.split,
        "views": config.tta,
        "merge": merge if several else "none",
        "members": [{"name": member.name, "weight": member.weight} for member in members],
        "study": "fused" if any(member.fusion for member in members) else config.study,
        "precision": config.precision,
        "pixels": members[0].pixels,
        "provenance": record(saved(config), inputs),
    }


def _write(config: PredictConfig, path: Path, predictions: Predictions, failures: dict[str, str]) -> None:
    failed = path.with_suffix(".failed.csv")
    with replacing_together():
        write_failures(failed, ("image_id", "reason"), sorted(failures.items()))
        if config.submission:
            write_submission(config.submission, predictions, config.id_column)
        write_predictions(path, predictions)
    if failures:
        warn(f"{len(failures)} images cannot be read: no scores, and no row in a submission: {failed}")
    if config.submission:
        say(f"submission: {config.submission}")
    runs, merge = predictions.header["runs"], predictions.header["merge"]
    views = "1 view" if config.tta == 1 else f"{config.tta} views, {merge}"
    say(f"{len(predictions.image_ids)} images x {len(predictions.classes)} classes, {len(runs)} run(s), {views}: {path}")
