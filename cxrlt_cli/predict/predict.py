"""The stage `predict`: scores images with runs; writes one logit per class and image."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from cxrlt_cli.artifacts.calibration import Calibration
from cxrlt_cli.artifacts.data_sources import joined_sources
from cxrlt_cli.artifacts.files import check_writable, claimed, fingerprint
from cxrlt_cli.artifacts.pack import Pack
from cxrlt_cli.artifacts.predictions import MemberWeight, Predictions, PredictionsHeader
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.resolve import find_calibration
from cxrlt_cli.compute.device import choose_device, choose_precision
from cxrlt_cli.compute.distributed import Ranks, join_ranks
from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.machine import keep_memory
from cxrlt_cli.options import saved
from cxrlt_cli.predict.batches import Part, Scorer, batches_of
from cxrlt_cli.predict.folder import ListColumns
from cxrlt_cli.predict.images import ImageList, ImageSet, folder_images, split_images
from cxrlt_cli.predict.members import Member, compile_members, load_members, packed_members
from cxrlt_cli.predict.merge_studies import merge_studies
from cxrlt_cli.predict.outputs import Outputs
from cxrlt_cli.predict.score import images_per_pass, score
from cxrlt_cli.predict.select import Chosen, choose_ensemble, choose_pack, choose_runs
from cxrlt_cli.predict.tta import VIEWS
from cxrlt_cli.predict.zero_shot import ZeroShotScorer
from cxrlt_cli.preprocess.settings import PixelSettings, settings_from
from cxrlt_cli.results import PredictedScores
from cxrlt_cli.scores.apply_calibration import apply_calibration, refuse_other_classes
from cxrlt_cli.workspace import Workspace

_RANK_TIMEOUT = 6 * 3600.0  # seconds; long, because ranks wait for the slowest one


def predict_images(config: PredictConfig, workspace: Workspace) -> PredictedScores:
    """Scores a split or a folder. If torchrun or srun started several processes, each scores a part of the batches.

    Raises:
        UserError: bad input or output, incompatible runs, other pixel settings than in training, scores not finite.
    """
    keep_memory()
    with join_ranks(_RANK_TIMEOUT) as ranks, ExitStack() as held:
        with ranks.fail_together():
            if config.zero_shot:
                chosen = Chosen([], [], config.merge or "geomean")
            elif config.pack:
                chosen = choose_pack(config.pack)
            elif config.ensemble:
                chosen = choose_ensemble(config.ensemble, config.tta, workspace)
            else:
                chosen = choose_runs(config.runs, config.weights, config.merge, workspace)
            name = config.artifact_name(chosen.names or [config.towers.short])
            path = workspace.predictions / f"{name}.parquet"
            outputs = Outputs(path, config.submission, config.id_column, config.overwrite)
            if ranks.is_rank_zero:
                outputs.refuse_existing()
                held.enter_context(claimed(path, config.overwrite, *outputs.others))
        return _predict(ranks, config, workspace, chosen, outputs)


@dataclass(frozen=True)
class _Model:
    """What scores images: networks of runs, or a model of images and texts.

    Attributes:
        classes: names, in the order of the scores.
        files: that it was read from.
        score: of a batch.
        settings: how squares are made of the files of a folder; raises UserError where they are unknown.
        members: the networks of runs.
        header: what predictions say about it.
    """

    classes: list[str]
    files: list[Path]
    score: Scorer
    settings: Callable[[], PixelSettings]
    members: list[Member]
    header: PredictionsHeader

    @property
    def fused(self) -> bool:
        """Whether it scores whole studies."""
        return any(member.fusion for member in self.members)


def _model(config: PredictConfig, chosen: Chosen, device: torch.device) -> _Model:
    precision, views = choose_precision(config.precision, device), VIEWS[: config.tta]
    several = config.tta > 1 or len(chosen.names) > 1 or config.study_weights
    header = PredictionsHeader(
        split="" if config.images else config.split,
        views=config.tta,
        merge=chosen.merge if several else "none",
        study=config.study,
        precision=config.precision,
    )
    if config.zero_shot:
        assert config.labels is not None
        towers = ZeroShotScorer(config.towers, config.labels, device)
        pixels = towers.settings.saved() if config.images else None
        header = replace(header, zero_shot=towers.described, pixels=pixels, data_sources=[])
        score_batch = partial(towers.score, views, chosen.merge, precision)
        return _Model(towers.classes, towers.files, score_batch, lambda: towers.settings, [], header)
    if config.pack and chosen.pack:
        members = packed_members(chosen.pack, config.pack, device, config.labels)
    else:
        members = load_members(chosen.runs, device, chosen.weights, config.labels)
    pass_size = images_per_pass(config.batch_size, config.tta)
    scoring = compile_members(members, pass_size, precision) if config.compile else members
    header = replace(
        header,
        runs=[member.name for member in members],
        members=[MemberWeight(member.name, member.weight) for member in members],
        study="fused" if any(member.fusion for member in members) else config.study,
        pixels=members[0].pixels,
        data_sources=joined_sources(*(member.config.data_sources for member in members)),
    )
    read = [*(member.path for member in members), *filter(None, [chosen.pipeline, config.labels])]
    files = list(dict.fromkeys(read))  # the members of a pack are of one file
    settings = partial(settings_from, members[0].pixels, members[0].path)
    score_batch = partial(score, scoring, views, chosen.merge, precision=precision)
    return _Model(members[0].classes, files, score_batch, settings, members, header)


def _predict(ranks: Ranks, config: PredictConfig, workspace: Workspace, chosen: Chosen, outputs: Outputs) -> PredictedScores:
    failures: dict[str, str] = {}
    with ranks.fail_together():
        device = choose_device(config.device, ranks.local)
        model = _model(config, chosen, device)
        inputs = [fingerprint(path) for path in model.files]
        if ranks.is_rank_zero:
            check_writable(outputs.path.parent)
        calibration = _calibration(config, workspace, model.classes, chosen.pack)
        inputs += [fingerprint(calibration.path)] if calibration and not _is_packed(config) else []
        by_study = model.fused or config.study_weights is not None
        if config.images:
            images = folder_images(config.images, _list(config), model.settings(), by_study, config.workers)
        else:
            images = split_images(config.dataset or workspace.dataset, config.split, model.members, by_study, device)
            if ranks.is_rank_zero and config.verify:
                images.verify()
        codes = images.studies.codes if images.studies and model.fused else None  # a batch of a fusion holds whole studies
        shard = batches_of(len(images.ids), codes, config.batch_size, ranks)
        parts = list(images.score(model.score, shard, failures))
    part, failures = _gathered(ranks, parts, failures, len(model.classes))
    if ranks.is_rank_zero:
        header = replace(model.header, fold=images.fold, provenance=record(saved(config), [*inputs, *images.inputs]))
        predictions = _in_order(config, part, failures, images, Predictions(images.ids, model.classes, np.empty(0), header))
        outputs.write(apply_calibration(predictions, calibration) if calibration else predictions, failures)
    return PredictedScores(outputs.path, len(part[0]), model.classes, failures, outputs.submission)


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
    """The predictions `wanted` with the logits of all ranks, in the order of the images."""
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


def _is_packed(config: PredictConfig) -> bool:
    """Whether the calibration of the pack is asked for."""
    return config.pack is not None and config.calibrate == "pack"


def _calibration(config: PredictConfig, workspace: Workspace, classes: list[str], pack: Pack | None) -> Calibration | None:
    if not config.calibrate:
        return None
    if pack and _is_packed(config):
        if pack.calibration is None:
            raise UserError(f"{config.pack} has no calibration", "leave out --calibrate, or name a file")
        calibration = pack.calibration
    else:
        calibration = find_calibration(config.calibrate, workspace.calibrations)
    refuse_other_classes(calibration, classes)
    return calibration


def _list(config: PredictConfig) -> ImageList | None:
    """The table of `--list`."""
    if config.only is None:
        return None
    columns = ListColumns(config.id_column, config.path_column, config.invert_column)
    return ImageList(config.only, columns, config.study_column, config.view_column)
