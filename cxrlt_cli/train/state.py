"""All that a run is at one moment: what `last.pt` holds, and how it comes back."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from cxrlt_cli.artifacts.run import read_checkpoint, write_checkpoint
from cxrlt_cli.errors import UserError, reason
from cxrlt_cli.model.network import Network


@dataclass
class State:
    """What changes while training.

    Attributes:
        network: the network.
        optimizer: its optimizer.
        scaler: of the loss, for fp16.
        average: a copy of the network that holds an average of its weights, in evaluation form; None without one.
        epoch: the epoch under way, from 0; one that is trained but not yet validated has been counted, and has no history.
        step: steps done since the start.
        position: batches of the epoch that are done.
        loss_sum: of those batches, and loss_count of how many: a step that was skipped has none.
        skipped: steps in a row, up to now, that were skipped.
        best: the highest validation mAP so far, and its epoch (from 1); None before the first.
        history: an entry for each finished epoch.
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
        """Of the epoch's steps so far; None where all were skipped."""
        return self.loss_sum / self.loss_count if self.loss_count else None

    @property
    def eval_model(self) -> Network:
        """The network that is validated and kept: the average where there is one."""
        return self.network if self.average is None else self.average


_PLAIN = ("epoch", "step", "position", "loss_sum", "loss_count", "skipped", "best", "history")


def save_state(state: State, path: Path) -> None:
    """Writes all that resuming needs. Draws need no generator's state: they are functions of seed, epoch, row and step."""
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
    """Brings a fresh state to where a checkpoint was.

    Raises:
        UserError: damaged, not ours, or of another network.
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
