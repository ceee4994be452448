"""The stage `fuse`: label features of a finished run's network go in, a run that scores whole studies comes out."""

import math
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cxrlt_cli.artifacts.backup import replaced
from cxrlt_cli.artifacts.dataset import Dataset, read_dataset, require_pixels
from cxrlt_cli.artifacts.files import check_writable, exclusive, refuse_existing
from cxrlt_cli.artifacts.json_files import write_json
from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, write_predictions
from cxrlt_cli.artifacts.provenance import provenance_of, record
from cxrlt_cli.artifacts.run import Run, newest_finished_run, read_checkpoint, write_checkpoint, write_history, write_status
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
from cxrlt_cli.paths import is_folder
from cxrlt_cli.results import TrainedRun
from cxrlt_cli.train.fuse_loop import FeaturedSplit, Trained, train_fusion
from cxrlt_cli.train.settings import FuseSettings
from cxrlt_cli.workspace import Workspace


def fuse_run(config: FuseConfig, workspace: Workspace) -> TrainedRun:
    """Trains the fusion and writes its run.

    Raises:
        UserError: no such run, one without label features or of another dataset, or an output that exists.
    """
    base = _find(config, workspace)
    run = Run(workspace.runs / (config.name or f"{base.folder.name}-fused"))
    refuse_existing(run.folder, config.overwrite)
    if run.folder.resolve() == base.folder.resolve():
        raise UserError(f"{run.folder} is the run whose network is used", "give the fusion another --name")
    device = choose_device(config.device)
    content = read_checkpoint(base.best, ["model", "spec", "classes", "pixels", "described"])
    dataset = read_dataset(config.dataset or workspace.dataset)
    require_pixels(dataset)
    described = {"options": saved(config), "classes": dataset.classes, "pixels": dataset.settings}
    described["provenance"] = record(saved(config), [dataset.path, base.best])  # now: files may be replaced meanwhile
    _refuse_unlike(base, content, dataset)
    network = network_from(content, base.best).place(device, int(dataset.settings["size"])).eval()
    check_writable(workspace.runs)
    with exclusive(workspace.runs / f".{run.folder.name}.lock"):
        torch.manual_seed(config.seed)
        width = network.label_width
        fusion = StudyFusion(len(dataset.classes), width, network.classifier).to(device)
        scratch = workspace.runs
        train, val = (_featured(dataset.split(name), network, width, scratch, device) for name in ("train", "val"))
        trained = train_fusion(select(FuseSettings, config), fusion, train, val)
        best = next(entry for entry in trained.history if entry["epoch"] == trained.epoch)["mAP"]
        _write(run, trained, best, val.dataset, {**content, "described": described})
    return TrainedRun(run.folder, run.best, trained.epoch, best)


def _find(config: FuseConfig, workspace: Workspace) -> Run:
    """The run that gives the features."""
    if not config.run:
        newest = newest_finished_run(workspace.runs)
        if newest is None:
            raise UserError(f"{workspace.runs} has no finished run", "train one: cxrlt train; or name a run's folder")
        return newest
    folder = next((path for path in (workspace.runs / config.run, Path(config.run)) if is_folder(path)), None)
    if folder is None:
        raise UserError(f"{config.run!r} is no run", f"name one of {workspace.runs}, or a folder")
    return Run(folder)


def _refuse_unlike(base: Run, content: dict[str, Any], dataset: Dataset) -> None:
    """A network without label features, and a dataset of other classes or pixels, cannot be used."""
    if content["spec"]["queries"] in ("none", "csra"):
        raise UserError(
            f"{base.folder} has no label features: it was trained with --queries {content['spec']['queries']}",
            "fuse a run with label queries; scores of any are merged by: cxrlt predict --study equal",
        )
    if "fusion" in content:
        raise UserError(f"{base.folder} is fused already", "name the run that it was made from")
    for what, own, other in (("classes", content["classes"], dataset.classes), ("pixels", content["pixels"], dataset.settings)):
        if own != other:
            raise UserError(
                f"{base.best} and {dataset.path} differ in their {what}", "name the dataset of its training: --dataset"
            )


def _featured(dataset: Dataset, network: Network, width: int, folder: Path, device: torch.device) -> FeaturedSplit:
    """Computes a split's label features once: the network does not change, and training images are not augmented."""
    codes = studies_of_table(dataset.table).codes
    shape = (len(codes), len(dataset.classes), width)
    split = dataset.table["split"].iloc[0]
    several = int((np.bincount(codes) > 1).sum())
    say(f"{split}: {len(codes)} images of {codes.max() + 1} studies, {several} of several images")
    if not several:
        warn(f"no study of {split} has several images: there is nothing to fuse")
    with reported_os_errors(f"cannot write label features to {folder}"), tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, 4 * math.prod(shape))  # a disk that is full says so now, and not by a signal
        features = np.memmap(file, dtype=np.float32, mode="r+", shape=shape)  # the file has no name, and ends with the process
    with torch.inference_mode(), progress(f"features of {split}", len(codes)) as bar:
        for batch in batches(dataset, DatasetImages(dataset), rows_in_order(len(codes), 64)):
            images = normalise(to_unit(batch.to(device).images))
            features[batch.rows] = network.label_features(images).float().cpu().numpy()
            bar.advance(len(batch.rows))
    return FeaturedSplit(dataset, features, codes)


def _write(run: Run, trained: Trained, best: float, val: Dataset, content: dict[str, Any]) -> None:
    provenance = provenance_of(content["described"])
    header = PredictionsHeader(
        [run.folder.name], "val", study="fused", pixels=val.settings, epoch=trained.epoch, provenance=provenance
    )
    with reported_os_errors(f"cannot write {run.folder}"):
        run.folder.mkdir(parents=True, exist_ok=True)
    with replaced(run.folder, run.files, run.best):
        write_json(run.config, content["described"])
        write_history(run, trained.history)
        write_predictions(run.validation, Predictions(list(val.table["image_id"]), val.classes, trained.logits, header))
        write_checkpoint(run.best, {**content, "epoch": trained.epoch, "fusion": trained.weights})
        write_status(run, "done", epoch=trained.history[-1]["epoch"], best_epoch=trained.epoch, best_mAP=best)
    start = trained.history[0]["mAP"]
    say(f"validation mAP {best:.4f} in epoch {trained.epoch}; mean of the images' label features {start:.4f}: {run.best}")
