"""The training loop."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.console import progress
from cxrlt_cli.data.batches import batches, epoch_draws
from cxrlt_cli.data.images import DatasetImages
from cxrlt_cli.data.randomness import step_seed
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.signals import StopRequest
from cxrlt_cli.training.averaging import average_epoch, average_step
from cxrlt_cli.training.recipe import Recipe
from cxrlt_cli.training.schedule import rate_at
from cxrlt_cli.training.state import State


@dataclass(frozen=True)
class Training:
    """What does not change while training."""

    config: TrainConfig
    recipe: Recipe
    dataset: Dataset
    images: DatasetImages
    device: torch.device
    precision: torch.dtype
    sampling: np.ndarray | None = None

    @property
    def steps_an_epoch(self) -> int:
        """Batches of an epoch."""
        return max(1, len(self.dataset.table) // self.config.batch_size)


def train_epochs(training: Training, state: State, stop: StopRequest, finished: Callable[[float], None]) -> None:
    """Trains from where the state is to the last epoch; returns early where a stop was asked for.

    Args:
        training: what to train on.
        state: changed in place.
        stop: looked at after each step.
        finished: called with the mean training loss when an epoch is done; it validates and saves.
    """
    while state.epoch < training.config.epochs:
        _train_epoch(training, state, stop)
        if stop:
            return
        mean_loss = state.loss_sum / training.steps_an_epoch
        state.epoch, state.position, state.loss_sum = state.epoch + 1, 0, 0.0
        average_epoch(training.config, state)
        finished(mean_loss)
        if stop:
            return


def _train_epoch(training: Training, state: State, stop: StopRequest) -> None:
    """The rest of the epoch that the state is in."""
    config = training.config
    count = len(training.dataset.table)
    rows = epoch_draws(count, config.batch_size, config.seed, state.epoch, training.sampling)
    state.network.train()
    if config.freeze == "encoder":
        state.network.encoder.eval()  # the statistics of its batch norms stay too
    ahead = partial(training.recipe.ahead, state.epoch)
    label = f"epoch {state.epoch + 1}/{config.epochs}"
    with progress(label, len(rows) * len(rows[0])) as bar:
        bar.advance(state.position * len(rows[0]))
        for batch in batches(training.dataset, training.images, rows[state.position :], ahead):
            torch.manual_seed(step_seed(config.seed, state.step))  # dropout: a function of the step
            inputs, targets, known = training.recipe.inputs(batch.to(training.device), state.epoch, state.step)
            loss = _step(training, state, inputs, targets, known)
            if not math.isfinite(loss):
                _fail(training.dataset, batch.rows, loss, state.step)
            average_step(config, state)
            state.loss_sum += loss
            state.step, state.position = state.step + 1, state.position + 1
            bar.advance(len(batch.rows), f"loss {state.loss_sum / state.position:.4f}")
            if stop:
                return


def _step(training: Training, state: State, inputs: Tensor, targets: Tensor, known: Tensor) -> float:
    """One step of the optimizer; returns the loss, and leaves the weights as they are where it is not finite."""
    steps = training.steps_an_epoch * training.config.epochs
    rate = rate_at(state.step, steps, training.config.rate, training.config.warmup)
    for group in state.optimizer.param_groups:
        group["lr"] = rate * group["scale"]
    state.optimizer.zero_grad(set_to_none=True)
    with torch.autocast(training.device.type, training.precision, enabled=training.precision != torch.float32):
        logits = state.network(inputs)
    loss = training.recipe.loss(logits, targets, known, state.step / steps)
    value = float(loss.detach())
    if math.isfinite(value):
        state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        state.scaler.unscale_(state.optimizer)
        nn.utils.clip_grad_norm_(state.network.parameters(), _LARGEST_GRADIENT)
        state.scaler.step(state.optimizer)
        state.scaler.update()
    return value


_LARGEST_GRADIENT = 5.0  # norm; far above that of a healthy step, it holds back a single broken one


def _fail(dataset: Dataset, rows: np.ndarray, loss: float, step: int) -> None:
    names = listed(dataset.table["image_id"].iloc[rows])
    raise UserError(
        f"the loss is {loss} at step {step} (images {names})", "lower --lr, or --precision fp32; last.pt keeps the last epoch"
    )
