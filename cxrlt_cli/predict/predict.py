"""The stage `predict`: scores images with runs; writes one logit per class and image."""

from contextlib import ExitStack
from functools import partial

import numpy as np

from cxrlt_cli.artifacts.calibration import Calibration
from cxrlt_cli.artifacts.files import InputFile, check_writable, claimed, fingerprint
from cxrlt_cli.artifacts.predictions import MemberWeight, Predictions, PredictionsHeader
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.resolve import find_calibration
from cxrlt_cli.compute.device import choose_device, choose_precision
from cxrlt_cli.compute.distributed import Ranks, join_ranks
from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.machine import keep_memory
from cxrlt_cli.options import saved
from cxrlt_cli.predict.batches import Part, batches_of
from cxrlt_cli.predict.folder import ListColumns
from cxrlt_cli.predict.images import ImageList, ImageSet, folder_images, split_images
from cxrlt_cli.predict.members import Member, compile_members, load_members
from cxrlt_cli.predict.merge_studies import merge_studies
from cxrlt_cli.predict.outputs import Outputs
from cxrlt_cli.predict.score import images_per_pass, score
from cxrlt_cli.predict.select import Chosen, choose_ensemble, choose_runs
from cxrlt_cli.predict.tta import VIEWS
from cxrlt_cli.results import PredictedScores
from cxrlt_cli.scores.apply_calibration import apply_calibration, refuse_other_classes
from cxrlt_cli.workspace import Workspace

_RANK_TIMEOUT = 6 * 3600.0  # seconds: long, so that a slower rank is waited for


def predict_images(config: PredictConfig, workspace: Workspace) -> PredictedScores:
    """Scores a split or a folder; as one of several processes where torchrun or srun started them, each its share of batches.

    Raises:
        UserError: bad input or output, incompatible runs, images prepared unlike in training, scores not finite.
    """
    keep_memory()
    with join_ranks(_RANK_TIMEOUT) as ranks, ExitStack() as held:
        with ranks.fail_together():
            if config.ensemble:
                chosen = choose_ensemble(config.ensemble, config.tta, workspace)
            else:
                chosen = choose_runs(config.runs, config.weights, config.merge, workspace)
            name = config.artifact_name([run.folder.name for run in chosen.runs])
            path = workspace.predictions / f"{name}.parquet"
            outputs = Outputs(path, config.submission, config.id_column, config.overwrite)
            if ranks.is_rank_zero:
                outputs.refuse_existing()
                held.enter_context(claimed(path, config.overwrite, *outputs.others))
        return _predict(ranks, config, workspace, chosen, outputs)


def _predict(ranks: Ranks, config: PredictConfig, workspace: Workspace, chosen: Chosen, outputs: Outputs) -> PredictedScores:
    failures: dict[str, str] = {}
    with ranks.fail_together():
        device = choose_device(config.device, ranks.local)
        precision = choose_precision(config.precision, device)
        members = load_members(chosen.runs, device, chosen.weights, config.labels)
        read = [*(member.path for member in members), *filter(None, [chosen.pipeline, config.labels])]
        inputs = [fingerprint(path) for path in read]
        if ranks.is_rank_zero:
            check_writable(outputs.path.parent)
        pass_size = images_per_pass(config.batch_size, config.tta)
        scoring = compile_members(members, pass_size, precision) if config.compile else members
        score_batch = partial(score, scoring, VIEWS[: config.tta], chosen.merge, precision=precision)
        calibration = _calibration(config, workspace, members[0].classes)
        inputs += [fingerprint(calibration.path)] if calibration else []
        fused = any(member.fusion for member in members)
        by_study = fused or config.study_weights is not None
        if config.images:
            images = folder_images(config.images, _list(config), members, by_study, config.workers)
        else:
            images = split_images(config.dataset or workspace.dataset, config.split, members, by_study, device)
        codes = images.studies.codes if images.studies and fused else None  # a batch of a fusion holds whole studies
        share = batches_of(len(images.ids), codes, config.batch_size, ranks)
        parts = list(images.score(score_batch, share, failures))
    classes = members[0].classes
    part, failures = _gathered(ranks, parts, failures, len(classes))
    if ranks.is_rank_zero:
        header = _header(config, members, chosen.merge, [*inputs, *images.inputs])
        predictions = _in_order(config, part, failures, images, Predictions(images.ids, classes, np.empty(0), header))
        outputs.write(apply_calibration(predictions, calibration) if calibration else predictions, failures)
    return PredictedScores(outputs.path, len(part[0]), classes, failures, outputs.submission)


def _gathered(ranks: Ranks, parts: list[Part], failures: dict[str, str], classes: int) -> tuple[Part, dict[str, str]]:
    """Rows and logits of every rank, and what could not be read, on rank 0; a rank's own on the others."""
    rows = np.concatenate([np.empty(0, np.int64), *(rows for rows, _ in parts)])
    logits = np.concatenate([np.empty((0, classes), np.float32), *(logits for _, logits in parts)])
    every = ranks.gather_arrays(rows), ranks.gather_arrays(logits), ranks.gather(failures)
    if not ranks.is_rank_zero:
        return (rows, logits), failures
    return (np.concatenate(every[0]), np.concatenate(every[1])), {name: why for one in every[2] for name, why in one.items()}


def _in_order(
    config: PredictConfig, part: Part, failures: dict[str, str], images: ImageSet, wanted: Predictions
) -> Predictions:
    """Rows and logits of all ranks in the order of the images: `wanted` with its logits."""
    rows, logits = part
    if not len(rows):
        raise UserError(
            f"none of the {len(failures)} images of {config.images} can be read: {listed(sorted(set(failures.values())))}",
            "see --images and --list",
        )
    order = np.argsort(rows)
    ids, logits = [images.ids[row] for row in rows[order]], logits[order]
    if images.studies and config.study_weights:
        logits = merge_studies(logits, images.studies.of(ids), wanted.header.merge, config.study_weights)
    return Predictions(ids, wanted.classes, logits, wanted.header)


def _calibration(config: PredictConfig, workspace: Workspace, classes: list[str]) -> Calibration | None:
    if not config.calibrate:
        return None
    calibration = find_calibration(config.calibrate, workspace.calibrations)
    refuse_other_classes(calibration, classes)
    return calibration


def _list(config: PredictConfig) -> ImageList | None:
    """The table of `--list`."""
    if config.only is None:
        return None
    columns = ListColumns(config.id_column, config.path_column, config.invert_column)
    return ImageList(config.only, columns, config.study_column, config.view_column)


def _header(config: PredictConfig, members: list[Member], merge: str, inputs: list[InputFile]) -> PredictionsHeader:
    several = config.tta > 1 or len(members) > 1 or config.study_weights
    return PredictionsHeader(
        runs=[member.name for member in members],
        split="" if config.images else config.split,
        views=config.tta,
        merge=merge if several else "none",
        members=[MemberWeight(member.name, member.weight) for member in members],
        study="fused" if any(member.fusion for member in members) else config.study,
        precision=config.precision,
        pixels=members[0].pixels,
        provenance=record(saved(config), inputs),
    )
