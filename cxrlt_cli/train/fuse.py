"""The stage `fuse`: trains a study fusion on the label features of a finished run, which gives a run that scores studies."""

import math
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from cxrlt_cli.artifacts.backup import replaced
from cxrlt_cli.artifacts.data_sources import joined_sources
from cxrlt_cli.artifacts.dataset import Dataset, read_dataset, require_pixels
from cxrlt_cli.artifacts.files import check_writable, exclusive, refuse_existing
from cxrlt_cli.artifacts.folds import in_fold
from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, write_predictions
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.resolve import find_runs
from cxrlt_cli.artifacts.run import Run, RunStatus, write_history, write_status
from cxrlt_cli.artifacts.run_config import BestCheckpoint, RunConfig, read_best, write_best, write_run_config
from cxrlt_cli.compute.device import choose_device
from cxrlt_cli.config.fuse import FuseConfig
from cxrlt_cli.console import progress, say, warn
from cxrlt_cli.data.augment import normalise, to_unit
from cxrlt_cli.data.batches import batches, rows_in_order
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.data.studies import studies_of_table
from cxrlt_cli.errors import UserError, reported_os_errors
from cxrlt_cli.model.network import Network, network_from
from cxrlt_cli.model.study_fusion import StudyFusion
from cxrlt_cli.options import saved, select
from cxrlt_cli.portable import allocate
from cxrlt_cli.results import TrainedRun
from cxrlt_cli.train.fuse_loop import FeaturedSplit, Trained, train_fusion
from cxrlt_cli.train.settings import FuseSettings
from cxrlt_cli.workspace import Workspace


def fuse_run(config: FuseConfig, workspace: Workspace) -> TrainedRun:
    """Trains the fusion and writes its run.

    Raises:
        UserError: no such run, one without label features or of another dataset, or an output that exists.
    """
    [base] = find_runs((config.run,) if config.run else (), workspace.runs)
    run = Run(workspace.runs / (config.name or f"{base.folder.name}-fused"))
    refuse_existing(run.folder, config.overwrite)
    if run.folder.resolve() == base.folder.resolve():
        raise UserError(f"{run.folder} is the run whose network is used", "give the fusion another --name")
    device = choose_device(config.device)
    trained_base = read_best(base)
    fold = trained_base.config.fold
    dataset = in_fold(read_dataset(config.dataset or workspace.dataset), fold)
    require_pixels(dataset)
    provenance = record(saved(config), [dataset.path, base.best])  # now: the files may be replaced during the training
    own = RunConfig(
        options=saved(config),
        classes=dataset.classes,
        pixels=dataset.settings,
        fold=fold,
        provenance=provenance,
        data_sources=joined_sources(dataset.header.data_sources, trained_base.config.data_sources),
    )
    _refuse_unlike(base, trained_base, dataset)
    network = network_from(trained_base.content, base.best).place(device, int(dataset.settings["size"])).eval()
    check_writable(workspace.runs)
    with exclusive(workspace.runs / f".{run.folder.name}.lock"):
        torch.manual_seed(config.seed)
        width = network.label_width
        fusion = StudyFusion(len(dataset.classes), width, network.classifier).to(device)
        scratch = workspace.runs
        train, val = (_featured(dataset.split(name), network, width, scratch, device) for name in ("train", "val"))
        trained = train_fusion(select(FuseSettings, config), fusion, train, val)
        best = next(entry for entry in trained.history if entry["epoch"] == trained.epoch)["mAP"]
        fused = replace(trained_base, config=own, epoch=trained.epoch, fusion=trained.weights)
        _write(run, trained, best, val.dataset, fused)
    return TrainedRun(run.folder, run.best, trained.epoch, best)


def _refuse_unlike(base: Run, best: BestCheckpoint, dataset: Dataset) -> None:
    """Refuses a network without label features, and a dataset with different classes or pixels."""
    queries = best.spec.get("queries")
    if queries in ("none", "csra"):
        raise UserError(
            f"{base.folder} has no label features: it was trained with --queries {queries}",
            "fuse a run with label queries; scores of any are merged by: cxrlt predict --study equal",
        )
    if best.fusion is not None:
        raise UserError(f"{base.folder} is fused already", "name the run that it was made from")
    for what, own, other in (("classes", best.classes, dataset.classes), ("pixels", best.pixels, dataset.settings)):
        if own != other:
            raise UserError(
                f"{base.best} and {dataset.path} differ in their {what}", "name the dataset of its training: --dataset"
            )


def _featured(dataset: Dataset, network: Network, width: int, folder: Path, device: torch.device) -> FeaturedSplit:
    """Computes the label features of a split once: the network is frozen and images are not augmented."""
    codes = studies_of_table(dataset.table).codes
    shape = (len(codes), len(dataset.classes), width)
    split = dataset.table["split"].iloc[0]
    several = int((np.bincount(codes) > 1).sum())
    say(f"{split}: {len(codes)} images of {codes.max() + 1} studies, {several} of several images")
    if not several:
        warn(f"no study of {split} has several images: there is nothing to fuse")
    with reported_os_errors(f"cannot write label features to {folder}"), tempfile.TemporaryFile(dir=folder) as file:
        allocate(file.fileno(), 4 * math.prod(shape))  # a full disk is an error here, and not a signal later
        features = np.memmap(file, dtype=np.float32, mode="r+", shape=shape)  # an unnamed file, which ends with the process
    with torch.inference_mode(), progress(f"features of {split}", len(codes)) as bar:
        for batch in batches(dataset, DatasetImages(dataset), rows_in_order(len(codes), 64)):
            images = normalise(to_unit(batch.to(device).images))
            features[batch.rows] = network.label_features(images).float().cpu().numpy()
            bar.advance(len(batch.rows))
    return FeaturedSplit(dataset, features, codes)


def _write(run: Run, trained: Trained, best: float, val: Dataset, fused: BestCheckpoint) -> None:
    header = PredictionsHeader(
        [run.folder.name],
        "val",
        fold=fused.config.fold,
        study="fused",
        pixels=val.settings,
        epoch=trained.epoch,
        data_sources=fused.config.data_sources,
        provenance=fused.config.provenance,
    )
    with reported_os_errors(f"cannot write {run.folder}"):
        run.folder.mkdir(parents=True, exist_ok=True)
    with replaced(run.folder, run.files, run.best):
        write_run_config(run, fused.config)
        write_history(run, trained.history)
        write_predictions(run.validation, Predictions(list(val.table["image_id"]), val.classes, trained.logits, header))
        write_best(run, fused)
        epoch = trained.history[-1]["epoch"]
        write_status(run, RunStatus("done", epoch=epoch, best_epoch=trained.epoch, best_map=best))
    start = trained.history[0]["mAP"]
    say(f"validation mAP {best:.4f} in epoch {trained.epoch}; mean of the images' label features {start:.4f}: {run.best}")
