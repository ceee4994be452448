"""The training loop."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.compute.distributed import Ranks
from cxrlt_cli.console import progress
from cxrlt_cli.data.batches import Batch, batches, epoch_draws
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.data.rng import step_seed
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.signals import StopRequest
from cxrlt_cli.train.batch_mixing import Inputs
from cxrlt_cli.train.batch_pipeline import BatchPipeline
from cxrlt_cli.train.lr_schedule import lr_at
from cxrlt_cli.train.run_log import RunLogger, Throughput
from cxrlt_cli.train.settings import LoopSettings
from cxrlt_cli.train.state import State
from cxrlt_cli.train.weight_average import average_epoch, average_step


@dataclass(frozen=True)
class Training:
    """What does not change while training.

    Attributes:
        sampling: (N,) how often each row is drawn, None for once.
        ranks: the processes that share each batch.
        forward: the state's network, its gradients joined over the ranks.
        run_log: writes the training log.
        parts: in which a step's rows go through the network.
    """

    settings: LoopSettings
    pipeline: BatchPipeline
    dataset: Dataset
    images: DatasetImages
    device: torch.device
    precision: torch.dtype
    sampling: np.ndarray | None
    ranks: Ranks
    forward: nn.Module
    run_log: RunLogger
    parts: int = 1

    @property
    def steps_an_epoch(self) -> int:
        """Batches of an epoch."""
        return max(1, len(self.dataset.table) // self.settings.batch_size)

    @property
    def steps(self) -> int:
        """Of the whole training."""
        return self.steps_an_epoch * self.settings.epochs


def train_epochs(training: Training, state: State, stop: StopRequest, finished: Callable[[], bool]) -> bool:
    """Trains from where the state is to the last epoch; returns early where a stop was asked for.

    Args:
        training: what to train on.
        state: changed in place.
        stop: looked at before each step; where one rank is asked to stop, all do, before the same step.
        finished: called when an epoch is done; it validates and saves; returns False if it was stopped meanwhile.

    Returns:
        Whether it came to the end.
    """
    while len(state.history) < training.settings.epochs:
        if state.epoch == len(state.history):  # else its validation was stopped: that is what remains of it
            if not _train_epoch(training, state, stop):
                return False
            state.epoch, state.position = state.epoch + 1, 0
            average_epoch(training.settings.average_spec, training.settings.epochs, state)
        if not finished():
            return False
    return True


def _train_epoch(training: Training, state: State, stop: StopRequest) -> bool:
    """The rest of the epoch that the state is in; false where a stop broke it off."""
    settings = training.settings
    rows = epoch_draws(len(training.dataset.table), settings.batch_size, settings.seed, state.epoch, training.sampling)
    state.network.train()
    if settings.freeze == "encoder":
        state.network.encoder.eval()  # the statistics of its batch norms stay too
    throughput = training.run_log.throughput = Throughput()
    with progress(f"epoch {state.epoch + 1}/{settings.epochs}", len(rows) * len(rows[0])) as bar:
        bar.advance(state.position * len(rows[0]))
        remaining = rows[state.position :]
        shares = _shares(training, state.epoch, state.step, remaining)
        for drawn, batch in zip(remaining, throughput.waiting(shares), strict=True):
            if training.ranks.stop_requested(stop):
                return False
            _step(training, state, drawn, batch)
            throughput.images += len(drawn)
            bar.advance(len(drawn), f"loss {state.mean_loss or math.nan:.4f}")
    return True


def _shares(training: Training, epoch: int, step: int, rows: list[np.ndarray]) -> Iterator[Batch]:
    """What this rank reads of each step's batch: its own rows, and those they are mixed with."""
    own = training.ranks.shard(len(rows[0])) if rows else np.empty(0, dtype=np.int64)
    needed = (drawn[training.pipeline.mix(number, len(drawn)).needed(own)] for number, drawn in enumerate(rows, step))
    return batches(training.dataset, training.images, needed, partial(training.pipeline.ahead, epoch))


def _step(training: Training, state: State, drawn: np.ndarray, batch: Batch) -> None:
    """One step of the optimizer, of the rows that all ranks drew; skipped where its loss or gradient is not finite.

    Every rank comes to the same: each computes the loss of the whole batch, and gradients are joined before they are looked at.

    Raises:
        UserError: too many steps in a row were skipped.
    """
    settings, ranks = training.settings, training.ranks
    rate = lr_at(state.step, training.steps, settings.rate, settings.warmup)
    for group in state.optimizer.param_groups:
        group["lr"] = rate * group["scale"]
    torch.manual_seed(step_seed(settings.seed, state.step) + ranks.rank)  # dropout: a function of the step
    mix = training.pipeline.mix(state.step, len(drawn))
    own = ranks.shard(len(drawn))
    inputs, targets, label_mask = training.pipeline.inputs(batch.to(training.device), state.epoch, mix, own)
    value = gradients(training, state, (inputs, targets, label_mask), len(drawn))
    trouble = descend(state) if math.isfinite(value) else f"the loss is {value}"
    if trouble:
        _skip(training, state, drawn, trouble)
    else:
        average_step(settings.average_spec, state)
        state.loss_sum, state.loss_count, state.skipped = state.loss_sum + value, state.loss_count + 1, 0
    state.step, state.position = state.step + 1, state.position + 1
    training.run_log.step(state, value, rate)


def gradients(training: Training, state: State, inputs: Inputs, count: int) -> float:
    """Leaves the gradients of a step's loss in the weights, and returns the loss; it stops where that is not finite.

    Args:
        training: `parts` says in how many parts the rows go through the network. Each part's loss is the mean over its own
            known labels: weighted by how many they are, the parts add up to the loss of the whole.
        state: the network, the share of the training that is done, the scaler.
        inputs: of this rank's own rows.
        count: rows of all ranks.
    """
    ranks, value = training.ranks, 0.0
    parts = training.parts if count % (training.parts * ranks.world_size) == 0 else 1  # a split smaller than a batch
    known_labels = ranks.all_reduce_sum(inputs[2].sum().cpu().numpy()[None])[0] if parts > 1 else 0
    state.optimizer.zero_grad(set_to_none=True)
    for images, targets, label_mask in zip(*(tensor.chunk(parts) for tensor in inputs), strict=True):
        with torch.autocast(training.device.type, training.precision, enabled=training.precision != torch.float32):
            logits = training.forward(images)
        whole = ranks.gather_batch(logits, targets, label_mask, count // parts)
        loss = training.pipeline.loss(*whole, state.step / training.steps)
        if parts > 1:
            loss = loss * (whole[2].sum() / max(known_labels, 1))
        value += float(loss.detach())
        if not math.isfinite(value):
            break
        state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    return value


def descend(state: State) -> str:
    """Moves the weights; says what is wrong, and leaves them, where the gradient is not finite."""
    state.scaler.unscale_(state.optimizer)
    norm = float(nn.utils.clip_grad_norm_(state.network.parameters(), _LARGEST_GRADIENT))
    if math.isfinite(norm) or state.scaler.is_enabled():  # the scaler skips by itself, and lowers its scale
        state.scaler.step(state.optimizer)
        state.scaler.update()
    return "" if math.isfinite(norm) else f"the gradient's norm is {norm}"


_LARGEST_GRADIENT = 5.0  # norm; far above that of a healthy step, it holds back a single broken one
_MOST_SKIPPED = 20  # steps in a row; fp16's scale needs 16 to come down from its start to 1


def _skip(training: Training, state: State, drawn: np.ndarray, trouble: str) -> None:
    table = training.dataset.table
    text = f"{trouble} at step {state.step} (images {listed(table['image_id'].iloc[drawn % len(table)])})"
    state.skipped += 1
    if state.skipped >= _MOST_SKIPPED:
        hint = "lower --lr, or --precision fp32; last.pt has the weights from before these steps"
        raise training.ranks.common_error(UserError(f"{text}, and in the {state.skipped - 1} steps before it", hint))
    training.run_log.log(f"warning: {text}: skipped")
