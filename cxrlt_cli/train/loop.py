"""The training loop."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.compute.distributed import Ranks
from cxrlt_cli.console import progress
from cxrlt_cli.data.batches import Batch, batches, epoch_draws
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.data.feature_maps import FeatureMaps
from cxrlt_cli.data.rng import step_seed
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.signals import StopRequest
from cxrlt_cli.train.batch_mixing import Inputs
from cxrlt_cli.train.batch_pipeline import BatchPipeline
from cxrlt_cli.train.lr_schedule import lr_at
from cxrlt_cli.train.patience import patience_ended
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
    images: DatasetImages | FeatureMaps
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
    """Trains from where the state is to the last epoch, or until patience ends; returns early where a stop was asked for.

    Args:
        training: what to train on.
        state: changed in place.
        stop: looked at before each step; where one rank is asked to stop, all do, before the same step.
        finished: called when an epoch is done; it validates and saves; returns False if it was stopped meanwhile.

    Returns:
        Whether it came to the end.
    """
    while len(state.history) < training.settings.epochs and not patience_ended(training.settings, state):
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
        before: QueuedStep | None = None
        for drawn, batch in zip(remaining, throughput.waiting(shares), strict=True):
            if training.ranks.stop_requested(stop):
                _settle(training, state, before)
                return False
            queued = _queue_step(training, state, drawn, batch)
            _settle(training, state, before)  # while a GPU works on the step that was just queued
            before = queued
            if training.run_log.save_due(state.step):
                _settle(training, state, before)
                before = None
                training.run_log.save(state)
            throughput.images += len(drawn)
            bar.advance(len(drawn), f"loss {state.mean_loss or math.nan:.4f}")
        _settle(training, state, before)
    return True


def _shares(training: Training, epoch: int, step: int, rows: list[np.ndarray]) -> Iterator[Batch]:
    """What this rank reads of each step's batch: its own rows, and those they are mixed with."""
    own = training.ranks.shard(len(rows[0])) if rows else np.empty(0, dtype=np.int64)
    needed = (drawn[training.pipeline.mix(number, len(drawn)).needed(own)] for number, drawn in enumerate(rows, step))
    images = training.images.in_epoch(training.settings.seed, epoch)
    return batches(training.dataset, images, needed, partial(training.pipeline.ahead, epoch))


@dataclass(frozen=True)
class QueuedStep:
    """A step whose work was given to the device.

    Attributes:
        number: of the step, from 0.
        rate: learning rate.
        drawn: (B,) draws of its batch.
        read: waits until the device is done with it, and returns the losses of its micro-batches and the gradient's norm.
    """

    number: int
    rate: float
    drawn: np.ndarray
    read: Callable[[], list[float]]


def _queue_step(training: Training, state: State, drawn: np.ndarray, batch: Batch) -> QueuedStep:
    """Queues one optimizer step on the rows that all ranks drew. The host does not wait for a GPU."""
    settings, ranks = training.settings, training.ranks
    rate = lr_at(state.step, training.steps, settings.lr, settings.warmup)
    for group in state.optimizer.param_groups:
        group["lr"] = rate * group["scale"]
    torch.manual_seed(step_seed(settings.seed, state.step) + ranks.rank)  # dropout depends on the step alone
    mix = training.pipeline.mix(state.step, len(drawn))
    inputs = training.pipeline.inputs(batch.to(training.device), state.epoch, mix, ranks.shard(len(drawn)))
    numbers = descend(state, gradients(training, state, inputs, len(drawn)))
    average_step(settings.average_spec, state)
    queued = QueuedStep(state.step, rate, drawn, to_host(numbers))
    state.step, state.position = state.step + 1, state.position + 1
    return queued


def _settle(training: Training, state: State, queued: QueuedStep | None) -> None:
    """Waits for a queued step and counts its loss, or counts it as skipped if its loss or gradient norm is not finite.

    All ranks decide alike: each computes the loss of the whole batch, and gradients are averaged before they are checked.

    Raises:
        UserError: too many steps in a row were skipped.
    """
    if queued is None:
        return
    *losses, norm = queued.read()
    loss = math.fsum(losses)
    if math.isfinite(loss) and math.isfinite(norm):
        state.loss_sum, state.loss_count, state.skipped = state.loss_sum + loss, state.loss_count + 1, 0
    else:
        problem = f"the gradient's norm is {norm}" if math.isfinite(loss) else f"the loss is {loss}"
        _skip(training, state, queued, problem)
    training.run_log.step(queued.number + 1, loss, queued.rate)


def gradients(training: Training, state: State, inputs: Inputs, count: int) -> Tensor:
    """Computes the gradients of a step's loss. Nothing is read from the device, so that a GPU is never waited for.

    Args:
        training: `parts` is the number of micro-batches. The loss of each is the mean over its own known labels; weighted by
            their number, the losses add up to the loss of the whole batch.
        state: the network, the step and the gradient scaler.
        inputs: of this rank's own rows.
        count: rows of all ranks.

    Returns:
        (parts,) float32 on the device; the sum is the loss.
    """
    ranks = training.ranks
    parts = training.parts if count % (training.parts * ranks.world_size) == 0 else 1  # a split smaller than a batch
    known_labels = ranks.all_reduce_tensor(inputs[2].sum()).clamp(min=1) if parts > 1 else None
    state.optimizer.zero_grad(set_to_none=True)
    losses = []
    for images, targets, label_mask in zip(*(tensor.chunk(parts) for tensor in inputs), strict=True):
        with torch.autocast(training.device.type, training.precision, enabled=training.precision != torch.float32):
            logits = training.forward(images)
        whole = ranks.gather_batch(logits, targets, label_mask, count // parts)
        loss = training.pipeline.loss(*whole, state.step / training.steps)
        if known_labels is not None:
            loss = loss * (whole[2].sum() / known_labels)
        losses.append(loss.detach())
        state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    return torch.stack(losses)


def descend(state: State, losses: Tensor) -> Tensor:
    """Clips the gradients and takes an optimizer step, which leaves the weights as they are if a number is not finite.

    The optimizer decides that on the device, as torch's GradScaler has it do.

    Args:
        state: changed in place.
        losses: as `gradients` returns them.

    Returns:
        (parts + 1,) float32 on the device: the losses, and the norm of the gradient before clipping.
    """
    optimizer, scaler = state.optimizer, state.scaler
    scaler.unscale_(optimizer)
    norm = nn.utils.clip_grad_norm_(state.network.parameters(), _LARGEST_GRADIENT)
    if scaler.is_enabled():
        scaler.step(optimizer)
        scaler.update()
    elif norm.device.type == "mps":  # its optimizer is not known to read `found_inf`: the host decides
        if torch.isfinite(losses.sum() + norm):
            optimizer.step()
    else:
        finite = losses.sum().isfinite() & norm.isfinite()
        optimizer.grad_scale, optimizer.found_inf = None, (~finite).float()  # type: ignore[attr-defined]
        optimizer.step()
    return torch.cat([losses.float(), norm.float()[None]])


def to_host(numbers: Tensor) -> Callable[[], list[float]]:
    """Starts to copy numbers to the host; the call that is returned waits for them, and for nothing queued later."""
    if numbers.device.type != "cuda":
        return numbers.tolist
    held = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True).copy_(numbers, non_blocking=True)
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record()

    def read() -> list[float]:
        copied.synchronize()
        values: list[float] = held.tolist()
        return values

    return read


_LARGEST_GRADIENT = 5.0  # norm; far above that of a healthy step, it holds back a single broken one
_MOST_SKIPPED = 20  # steps in a row; fp16's scale needs 16 to come down from its start to 1


def _skip(training: Training, state: State, queued: QueuedStep, problem: str) -> None:
    table = training.dataset.table
    images = listed(table["image_id"].iloc[queued.drawn % len(table)])
    text = f"{problem} at step {queued.number} (images {images})"
    state.skipped += 1
    if state.skipped >= _MOST_SKIPPED:
        hint = "lower --lr, or --precision fp32; last.pt has the weights from before these steps"
        raise training.ranks.common_error(UserError(f"{text}, and in the {state.skipped - 1} steps before it", hint))
    training.run_log.log(f"warning: {text}: skipped")
