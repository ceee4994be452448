"""The state of a run, which `last.pt` holds: saved and loaded here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from cxrlt_cli.artifacts.run import read_checkpoint, write_checkpoint
from cxrlt_cli.errors import UserError, reason
from cxrlt_cli.model.network import Network


@dataclass
class State:
    """Everything that changes during training.

    Attributes:
        network: the network.
        optimizer: its optimizer.
        scaler: of the loss, for fp16.
        average: a copy of the network in evaluation mode that holds the averaged weights; None without averaging.
        epoch: number of trained epochs; the last one may not be validated yet, and then has no history.
        step: finished steps.
        position: finished batches of the current epoch.
        loss_sum: sum of the losses of those batches.
        loss_count: number of those batches without the skipped steps.
        skipped: number of consecutive skipped steps up to now.
        best: the highest validation mAP so far, and its epoch (from 1); None before the first.
        history: an entry per validated epoch.
    """

    network: Network
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: Network | None = None
    epoch: int = 0
    step: int = 0
    position: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    skipped: int = 0
    best: tuple[float, int] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def mean_loss(self) -> float | None:
        """Mean loss of the current epoch's steps; None if all were skipped."""
        return self.loss_sum / self.loss_count if self.loss_count else None

    @property
    def eval_model(self) -> Network:
        """The network that is validated and saved: the average if there is one."""
        return self.network if self.average is None else self.average


_PLAIN = ("epoch", "step", "position", "loss_sum", "loss_count", "skipped", "best", "history")


def save_state(state: State, path: Path) -> None:
    """Writes `last.pt`. It holds no generator states: random draws are functions of seed, epoch, row and step."""
    plain = {name: getattr(state, name) for name in _PLAIN}
    tensors = {
        "model": state.network.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "scaler": state.scaler.state_dict(),
    }
    if state.average is not None:
        tensors["average"] = state.average.state_dict()
    write_checkpoint(path, {**tensors, **plain})


def load_state(state: State, path: Path) -> None:
    """Loads a checkpoint into a new state.

    Raises:
        UserError: a damaged file, not a checkpoint of cxrlt, or one of another network.
    """
    content = read_checkpoint(path, ["model", "optimizer", "scaler", *_PLAIN])
    try:
        state.network.load_state_dict(content["model"])
        state.optimizer.load_state_dict(content["optimizer"])
        state.scaler.load_state_dict(content["scaler"])
        if state.average is not None:
            state.average.load_state_dict(content["average"])
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        raise UserError(
            f"{path} is of another network: {reason(error)}", "train again with --overwrite, or give another --name"
        ) from error
    for name in _PLAIN:
        setattr(state, name, content[name])
