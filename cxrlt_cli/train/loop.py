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
        forward: the state's network, with gradients averaged over the ranks.
        run_log: writes the training log.
        parts: number of micro-batches that a rank splits its rows of a step into.
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
        """Steps of an epoch."""
        return max(1, len(self.dataset.table) // self.settings.batch_size)

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.steps_an_epoch * self.settings.epochs


def train_epochs(training: Training, state: State, stop: StopRequest, finished: Callable[[], bool]) -> bool:
    """Trains to the last epoch, or until patience ends, or until a stop is requested.

    Args:
        training: what does not change.
        state: where the training is; changed in place.
        stop: checked before each step. If one rank is asked to stop, all ranks stop before the same step.
        finished: called after each epoch to validate and save; returns False if it was stopped.

    Returns:
        Whether the training is complete; False after a stop.
    """
    while len(state.history) < training.settings.epochs and not patience_ended(training.settings, state):
        if state.epoch == len(state.history):  # else the validation of this epoch was stopped, and only that remains
            if not _train_epoch(training, state, stop):
                return False
            state.epoch, state.position = state.epoch + 1, 0
            average_epoch(training.settings.average_spec, training.settings.epochs, state)
        if not finished():
            return False
    return True


def _train_epoch(training: Training, state: State, stop: StopRequest) -> bool:
    """Trains the rest of the current epoch; False if it was stopped."""
    settings = training.settings
    rows = epoch_draws(len(training.dataset.table), settings.batch_size, settings.seed, state.epoch, training.sampling)
    state.network.train()
    if settings.freeze == "encoder":
        state.network.encoder.eval()  # its batch norm statistics do not change either
    throughput = training.run_log.throughput = Throughput()
    with progress(f"epoch {state.epoch + 1}/{settings.epochs}", len(rows) * len(rows[0])) as bar:
        bar.advance(state.position * len(rows[0]))
        remaining = rows[state.position :]
        loaded = _load_batches(training, state.epoch, state.step, remaining)
        previous: QueuedStep | None = None
        for drawn, batch in zip(remaining, throughput.waiting(loaded), strict=True):
            if training.ranks.stop_requested(stop):
                _finish_step(training, state, previous)
                return False
            queued = _queue_step(training, state, drawn, batch)
            _finish_step(training, state, previous)  # while a GPU computes the step that was just queued
            previous = queued
            if training.run_log.save_due(state.step):
                _finish_step(training, state, previous)
                previous = None
                training.run_log.save(state)
            throughput.images += len(drawn)
            bar.advance(len(drawn), f"loss {state.mean_loss or math.nan:.4f}")
        _finish_step(training, state, previous)
    return True


def _load_batches(training: Training, epoch: int, step: int, rows: list[np.ndarray]) -> Iterator[Batch]:
    """The images that this rank needs in each step: its own rows, and those that they are mixed with."""
    own = training.ranks.shard(len(rows[0])) if rows else np.empty(0, dtype=np.int64)
    needed = (drawn[training.pipeline.mix(number, len(drawn)).needed(own)] for number, drawn in enumerate(rows, step))
    images = training.images.in_epoch(training.settings.seed, epoch)
    return batches(training.dataset, images, needed, partial(training.pipeline.ahead, epoch))


@dataclass(frozen=True)
class QueuedStep:
    """A step that the device computes.

    Attributes:
        number: of the step, from 0.
        lr: learning rate.
        drawn: (B,) draws of its batch.
        read: waits for the device, and returns the losses of the micro-batches and the norm of the gradient.
    """

    number: int
    lr: float
    drawn: np.ndarray
    read: Callable[[], list[float]]


def _queue_step(training: Training, state: State, drawn: np.ndarray, batch: Batch) -> QueuedStep:
    """Queues one optimizer step on the rows that all ranks drew, without waiting for a GPU."""
    settings, ranks = training.settings, training.ranks
    lr = lr_at(state.step, training.steps, settings.lr, settings.warmup)
    for group in state.optimizer.param_groups:
        group["lr"] = lr * group["scale"]
    torch.manual_seed(step_seed(settings.seed, state.step) + ranks.rank)  # dropout depends on the step and the rank only
    mix = training.pipeline.mix(state.step, len(drawn))
    inputs = training.pipeline.inputs(batch.to(training.device), state.epoch, mix, ranks.shard(len(drawn)))
    numbers = optimizer_step(state, gradients(training, state, inputs, len(drawn)))
    average_step(settings.average_spec, state)
    queued = QueuedStep(state.step, lr, drawn, to_host(numbers))
    state.step, state.position = state.step + 1, state.position + 1
    return queued


def _finish_step(training: Training, state: State, queued: QueuedStep | None) -> None:
    """Waits for a queued step and adds its loss to the epoch; a step with a loss or norm that is not finite was skipped.

    All ranks come to the same result: each has the loss of the whole batch, and gradients are averaged before they are checked.

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
    training.run_log.step(queued.number + 1, loss, queued.lr)


def gradients(training: Training, state: State, inputs: Inputs, count: int) -> Tensor:
    """Computes the gradients of a step's loss, without waiting for a GPU.

    Args:
        training: `parts` is the number of micro-batches. The loss of each is the mean over its own known labels; weighted by
            their number, the losses sum to the loss of the whole batch.
        state: the network, the step and the gradient scaler.
        inputs: of this rank's rows.
        count: number of rows of all ranks.

    Returns:
        (parts,) float32 on the device; the sum is the loss.
    """
    ranks = training.ranks
    parts = (
        training.parts if count % (training.parts * ranks.world_size) == 0 else 1
    )  # else the training split is smaller than a batch
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


def optimizer_step(state: State, losses: Tensor) -> Tensor:
    """Clips the gradients and takes an optimizer step; the weights do not change if a loss or the norm is not finite.

    The optimizer decides this on the device by its attribute `found_inf`, which is how torch's GradScaler skips a step.

    Args:
        state: changed in place.
        losses: from `gradients`.

    Returns:
        (parts + 1,) float32 on the device: the losses, and the norm of the gradient before clipping.
    """
    optimizer, scaler = state.optimizer, state.scaler
    scaler.unscale_(optimizer)
    norm = nn.utils.clip_grad_norm_(state.network.parameters(), _MAX_GRADIENT_NORM)
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
    """Starts copying numbers to the host. The returned function waits for this copy only, not for work that is queued later."""
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


_MAX_GRADIENT_NORM = 5.0  # far above the norm of a normal step: it limits a single exploding one
_MAX_SKIPPED = 20  # consecutive steps; the loss scale of fp16 needs 16 to fall from its first value to 1


def _skip(training: Training, state: State, queued: QueuedStep, problem: str) -> None:
    table = training.dataset.table
    images = listed(table["image_id"].iloc[queued.drawn % len(table)])
    text = f"{problem} at step {queued.number} (images {images})"
    state.skipped += 1
    if state.skipped >= _MAX_SKIPPED:
        hint = "lower --lr, or --precision fp32; last.pt has the weights from before these steps"
        raise training.ranks.common_error(UserError(f"{text}, and in the {state.skipped - 1} steps before it", hint))
    training.run_log.log(f"warning: {text}: skipped")
