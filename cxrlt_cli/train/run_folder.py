"""The folder of a run during training: its lock, its preparation, its status."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from cxrlt_cli.artifacts.backup import replaced
from cxrlt_cli.artifacts.files import check_writable, exclusive
from cxrlt_cli.artifacts.run import Run, RunStatus, write_status
from cxrlt_cli.artifacts.run_config import write_run_config
from cxrlt_cli.errors import Stopped
from cxrlt_cli.paths import is_file
from cxrlt_cli.train.patience import reason_of_end
from cxrlt_cli.train.settings import LoopSettings
from cxrlt_cli.train.start import Start
from cxrlt_cli.train.state import State


def hold_folder(held: ExitStack, run: Run, start: Start) -> None:
    """Locks the run's folder for this process until `held` is closed, and prepares it."""
    check_writable(run.folder)
    held.enter_context(exclusive(run.lock))
    if not start.resumed:
        held.enter_context(replaced(run.folder, run.files, run.last))
    if start.changed or not (start.resumed and is_file(run.last)):
        write_run_config(run, start.config)


@contextmanager
def kept_status(run: Run, state: State, settings: LoopSettings) -> Iterator[None]:
    """Writes `status.json`: running, then how the block ended."""
    write_status(run, RunStatus("running", epoch=state.epoch, step=state.step))
    try:
        yield
    except Stopped as stop:
        write_status(run, RunStatus("stopped", epoch=state.epoch, step=state.step, reason=stop.message))
        raise
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}"
        write_status(run, RunStatus("failed", epoch=state.epoch, step=state.step, reason=reason))
        raise
    assert state.best is not None, "at least one epoch has been validated"
    best, epoch = state.best
    early = reason_of_end(settings, state)
    write_status(run, RunStatus("done", epoch=state.epoch, step=state.step, best_epoch=epoch, best_map=best, reason=early))
