"""Early stopping: the training ends when validation mAP has not improved for some epochs."""

from cxrlt_cli.artifacts.run import RunStatus
from cxrlt_cli.train.settings import LoopSettings
from cxrlt_cli.train.state import State


def patience_ended(settings: LoopSettings, state: State) -> bool:
    """Whether the last `patience` validated epochs were not better than the best one; False without patience."""
    return state.best is not None and _waited(settings.patience, len(state.history), state.best[1])


def is_finished(status: RunStatus | None, epochs: int, patience: int) -> bool:
    """Whether a run has nothing left to train.

    Args:
        status: of the run; None if it has not started.
        epochs: of the whole training.
        patience: of the command that resumes it; if it is larger than that which ended the run, the run continues.
    """
    if status is None or status.state != "done":
        return False
    if status.epoch is None or status.best_epoch is None or status.epoch >= epochs:
        return True
    return _waited(patience, status.epoch, status.best_epoch)


def reason_of_end(settings: LoopSettings, state: State) -> str | None:
    """Why a finished run has fewer epochs than `--epochs`; None if it has all."""
    if state.epoch >= settings.epochs or state.best is None:
        return None
    return (
        f"--patience {settings.patience}: no better validation mAP since epoch {state.best[1]}, "
        f"stopped after {state.epoch} of {settings.epochs} epochs"
    )


def _waited(patience: int, epoch: int, best_epoch: int) -> bool:
    return patience > 0 and epoch - best_epoch >= patience
