"""The parts of training and prediction as calls that can be timed; the same code that `train` and `predict` run."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.artifacts.run_config import ComputeMode, RunConfig
from cxrlt_cli.bench.synthetic import made_up_dataset
from cxrlt_cli.compute.autotune import LAYOUTS, choose_compute_mode, precision_of
from cxrlt_cli.compute.distributed import Ranks
from cxrlt_cli.compute.fold_batch_norms import fold_batch_norms
from cxrlt_cli.compute.probe import compile_network, training_pass
from cxrlt_cli.data.batches import Batch, batches, epoch_draws
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.model.gradient_checkpointing import checkpoint_blocks
from cxrlt_cli.model.network import Network
from cxrlt_cli.predict.members import Member, compile_members
from cxrlt_cli.predict.score import images_per_pass, score
from cxrlt_cli.predict.tta import VIEWS
from cxrlt_cli.train.batch_mixing import Inputs
from cxrlt_cli.train.batch_pipeline import make_pipeline
from cxrlt_cli.train.build import make_network, make_optimizer
from cxrlt_cli.train.loop import Training, gradients, optimizer_step
from cxrlt_cli.train.loss import Counts
from cxrlt_cli.train.run_log import RunLogger
from cxrlt_cli.train.settings import TrainSettings
from cxrlt_cli.train.state import State

_EMBEDDING = 768
_IMAGES = 1024


@dataclass(frozen=True)
class Parts:
    """Everything that is measured.

    Attributes:
        training: a training on synthetic images.
        state: its state with the network.
        member: a copy of the network as `predict` uses it.
        mode: compute mode.
        ready: a batch as network input.
        pixels: the same batch before augmentation, (B, S, S) uint8, on the device.
    """

    training: Training
    state: State
    member: Member
    mode: ComputeMode
    ready: Inputs
    pixels: torch.Tensor

    def read(self) -> None:
        """Reads the images in random order to 8-bit batches."""
        for _ in _batches(self.training):
            pass

    def augment(self) -> None:
        """Reads and augments them to network input."""
        for batch in _batches(self.training, augmented=True):
            _inputs(self.training, batch)

    def forward(self) -> None:
        """One batch through the network and the loss, in training mode."""
        images, targets, label_mask = self.ready
        with torch.autocast(images.device.type, self.training.precision, enabled=self.training.precision != torch.float32):
            logits = self.training.forward(images)
        self.training.pipeline.loss(logits, targets, label_mask, 0.0)

    def forward_and_backward(self) -> None:
        """One batch to gradients."""
        self._losses()

    def step(self) -> None:
        """One batch to new weights."""
        optimizer_step(self.state, self._losses())

    def _losses(self) -> torch.Tensor:
        return gradients(self.training, self.state, self.ready, len(self.ready[0]))

    def predict(self, views: int) -> None:
        """Scores of one batch."""
        score([self.member], VIEWS[:views], "geomean", self.pixels)

    def prediction(self, precision: torch.dtype, views: int, compiled: bool) -> Callable[[], object]:
        """A call that scores one batch as `predict --precision … --tta … --compile` does."""
        members = [self.member]
        if compiled:
            members = compile_members(members, images_per_pass(len(self.pixels), views), precision)
        return partial(score, members, VIEWS[:views], "geomean", self.pixels, precision=precision)


def _batches(training: Training, augmented: bool = False) -> Iterator[Batch]:
    draws = epoch_draws(len(training.dataset.table), training.settings.batch_size, 0, 0)
    ahead = partial(training.pipeline.ahead, 0) if augmented else None
    return batches(training.dataset, training.images, draws, ahead)


def _inputs(training: Training, batch: Batch) -> Inputs:
    count = len(batch.rows)
    return training.pipeline.inputs(batch.to(training.device), 0, training.pipeline.mix(0, count), np.arange(count))


def make_parts(
    settings: TrainSettings, size: int, classes: int, folder: Path, device: torch.device, images: int = _IMAGES
) -> Parts:
    """Writes synthetic images to a folder and builds a network.

    Args:
        settings: of the training that is measured.
        size: side of the images, px.
        classes: number of labels.
        folder: for the images.
        device: to compute on.
        images: how many are written, at least four batches.

    Raises:
        UserError: as `train` does for conflicting options.
    """
    batch_size = settings.loop.batch_size
    mode = choose_compute_mode(settings.workload, size, device)
    dataset = made_up_dataset(folder, max(images, 4 * batch_size), size, classes)
    queries = np.random.default_rng(0).standard_normal((classes, _EMBEDDING), np.float32)
    network, _ = make_network(settings.network, queries)
    network.place(device, size, LAYOUTS[mode.layout]).check_size(size)
    member = _member(copy.deepcopy(network), dataset)
    if settings.checkpointing:
        checkpoint_blocks(network.encoder)
    if settings.compile:
        trial = training_pass(network, (1, size, size), device, precision_of(mode))
        compile_network(network, trial, batch_size, device)
    scaler = torch.amp.GradScaler(device.type, enabled=mode.precision == "fp16")
    state = State(network.train(), make_optimizer(settings.optimizer, network), scaler)
    ones = torch.ones(classes)
    pipeline = make_pipeline(settings.mix, settings.augment, settings.loss, Counts(ones, ones), device)
    run = RunLogger(Run(folder / "run"), settings.log, writes=False)
    training = Training(
        settings.loop, pipeline, dataset, DatasetImages(dataset), device, precision_of(mode), None, Ranks(), network, run
    )
    pixels = next(_batches(training)).to(device).images
    return Parts(training, state, member, mode, _inputs(training, next(_batches(training, augmented=True))), pixels)


def _member(network: Network, dataset: Dataset) -> Member:
    network.eval()
    fold_batch_norms(network.encoder)
    order = np.arange(len(dataset.classes))
    config = RunConfig(options={}, classes=dataset.classes, pixels=dataset.settings, provenance=Provenance())
    return Member("bench", dataset.path, network, dataset.classes, dataset.settings, order, config)
