"""What a run writes during training: log, checkpoints within an epoch, throughput, TensorBoard events."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from cxrlt_cli.artifacts.run import Run, RunStatus, write_status
from cxrlt_cli.console import dated, escaped, say
from cxrlt_cli.errors import UserError, reported_os_errors
from cxrlt_cli.portable import peak_memory
from cxrlt_cli.train.settings import LogSettings
from cxrlt_cli.train.state import State, save_state

Item = TypeVar("Item")


@dataclass
class Throughput:
    """Throughput of an epoch, since its first batch or since it was resumed.

    Attributes:
        images: number trained on, by all ranks.
        waited: seconds that the loop waited for batches.
        began: `time.monotonic` at the start.
    """

    images: int = 0
    waited: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def waiting(self, batches: Iterator[Item]) -> Iterator[Item]:
        """Yields the batches and measures the time spent waiting for them."""
        while True:
            since = time.monotonic()
            batch = next(batches, None)
            self.waited += time.monotonic() - since
            if batch is None:
                return
            yield batch

    def facts(self, device: torch.device) -> dict[str, float]:
        """Images per second, fraction of the time spent waiting, and peak memory (GB, of the GPU if there is one; if known)."""
        seconds = max(time.monotonic() - self.began, 1e-9)
        memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_memory()
        facts = {"images_per_s": self.images / seconds, "waiting": self.waited / seconds}
        if memory is not None:
            facts["memory_GB"] = memory / 1e9
        return {name: round(value, 4) for name, value in facts.items()}


class RunLogger:
    """Writes into a run's folder, on rank 0 only."""

    def __init__(self, run: Run, settings: LogSettings, writes: bool) -> None:
        """Raises UserError if TensorBoard is requested and not installed."""
        self.run, self.writes = run, writes
        self.throughput = Throughput()
        self._steps, self._seconds = settings.saved_every
        self._saved = time.monotonic()
        self._events: Any = None
        if settings.tensorboard and writes:
            self._writer = _tensorboard()

    def begin(self, state: State) -> None:
        """Before the first step: hides the events that an earlier process wrote after it saved the state."""
        if hasattr(self, "_writer"):
            if not state.step:
                shutil.rmtree(self.run.events, ignore_errors=True)
            self._events = self._writer(str(self.run.events), purge_step=state.step)

    def log(self, text: str) -> None:
        """Prints a line and appends it to `log.txt`."""
        say(text)
        if self.writes:
            with reported_os_errors(f"cannot write {self.run.log}"), self.run.log.open("a", encoding="utf-8") as file:
                file.write(dated(escaped(text)) + "\n")

    def step(self, number: int, loss: float, lr: float) -> None:
        """After step `number`, from 1: writes TensorBoard events."""
        if self._events:
            self._events.add_scalar("train/loss", loss, number)
            self._events.add_scalar("train/rate", lr, number)

    def save_due(self, number: int) -> bool:
        """Whether the state is to be saved after step `number`, from 1."""
        due = (self._steps and number % self._steps == 0) or (self._seconds and time.monotonic() - self._saved >= self._seconds)
        return bool(due and self.writes)

    def save(self, state: State) -> None:
        """Writes `last.pt`, then `status.json`."""
        save_state(state, self.run.last)
        write_status(self.run, RunStatus("running", epoch=state.epoch, step=state.step))
        self._saved = time.monotonic()

    def epoch(self, state: State, entry: dict[str, Any]) -> None:
        """After validation: writes the metrics of the epoch as events."""
        if self._events:
            for name in ("train_loss", "val_loss", "mAP"):
                if entry[name] is not None:
                    self._events.add_scalar(f"epoch/{name}", entry[name], state.step)
            for name, value in entry["ap"].items():
                if value is not None:
                    self._events.add_scalar(f"ap/{name}", value, state.step)
            self._events.flush()


def _tensorboard() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError(
            "--tensorboard: the package tensorboard is not installed", 'pip install "cxrlt[tensorboard]"'
        ) from error
    return SummaryWriter
