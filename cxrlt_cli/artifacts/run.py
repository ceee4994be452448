"""`runs/NAME/`: configuration, status, history, and the two checkpoints of a training run.

Checkpoints hold tensors and plain values only and are loaded with `weights_only=True`: a file from elsewhere cannot run code.
"""

import json
import os
import zipfile
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from cxrlt_cli.artifacts.files import replacing, write_text
from cxrlt_cli.artifacts.json_files import read_json, write_json
from cxrlt_cli.artifacts.parsing import damage_reported, parse, plain, saved_as
from cxrlt_cli.errors import Stopped, UserError, listed, reason
from cxrlt_cli.paths import is_file, refuse_no_file
from cxrlt_cli.portable import allocate, lock_file
from cxrlt_cli.workspace import newest

FORMAT, VERSION = "cxrlt checkpoint", 1
State = Literal["running", "stopped", "done", "failed"]


@dataclass(frozen=True)
class Run:
    """The folder of one training run."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.json"

    @property
    def status(self) -> Path:
        return self.folder / "status.json"

    @property
    def history(self) -> Path:
        return self.folder / "history.jsonl"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def last(self) -> Path:
        return self.folder / "last.pt"

    @property
    def best(self) -> Path:
        return self.folder / "best.pt"

    @property
    def lock(self) -> Path:
        """Held by the process that trains."""
        return self.folder / ".lock"

    @property
    def events(self) -> Path:
        """TensorBoard's, where asked for."""
        return self.folder / "tensorboard"

    @property
    def validation(self) -> Path:
        return self.folder / "validation.parquet"

    @property
    def files(self) -> list[Path]:
        """All files of a run."""
        return [self.config, self.status, self.history, self.log, self.last, self.best, self.validation]


@dataclass(frozen=True)
class RunStatus:
    """`status.json`: the state of a run when it was last written.

    Attributes:
        state: running, stopped (by a signal, resumable), done or failed.
        time: UTC, ISO 8601.
        epoch: finished epochs.
        step: finished steps.
        best_epoch: epoch of `best.pt`, counted from 1; None unless done.
        best_map: its mean average precision on the validation split.
        reason: why the run stopped or failed.
    """

    state: State
    time: str = ""
    epoch: int | None = None
    step: int | None = None
    best_epoch: int | None = None
    best_map: float | None = saved_as("best_mAP", None)
    reason: str | None = None


def write_status(run: Run, status: RunStatus) -> None:
    """Writes `status.json` with the time of now."""
    write_json(run.status, plain(replace(status, time=datetime.now(UTC).isoformat(timespec="seconds"))))


def read_status(run: Run) -> RunStatus | None:
    """Reads `status.json`; None where there is none yet. Raises UserError if it is damaged."""
    if not is_file(run.status):
        return None
    return parse(RunStatus, read_json(run.status), run.status, "the run is damaged: train it again with --overwrite")


def is_done(run: Run) -> bool:
    """Whether a run is finished. Raises UserError if its status is damaged."""
    status = read_status(run)
    return status is not None and status.state == "done"


def is_held(run: Run) -> bool:
    """Whether a living process trains the run; False where it was killed, or where the file system has no locks."""
    try:
        handle = os.open(run.lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        lock_file(handle, shared=True)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def write_history(run: Run, epochs: list[dict[str, Any]]) -> None:
    """Writes `history.jsonl`, one line per epoch; `last.pt` holds the same epochs."""
    write_text(run.history, "".join(json.dumps(epoch) + "\n" for epoch in epochs))


def read_history(run: Run) -> list[dict[str, Any]]:
    """Reads `history.jsonl`. Raises UserError where it is not there or damaged."""
    hint = "the run is damaged: train it again"
    refuse_no_file(run.history, hint)
    with damage_reported(run.history, hint):
        try:
            epochs = [json.loads(line) for line in run.history.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError) as error:
            raise UserError(f"{run.history} cannot be read: {reason(error)}", hint) from error
        for number, epoch in enumerate(epochs, 1):
            _check_epoch(epoch, number)
    return epochs


def _check_epoch(epoch: Any, number: int) -> None:
    """Raises ValueError where a line of the history lacks what is read from it."""
    if not isinstance(epoch, dict) or not isinstance(epoch.get("epoch"), int):
        raise ValueError(f"line {number} is not an epoch")
    ap = epoch.get("ap", {})
    if not isinstance(ap, dict):
        raise ValueError(f"line {number} has no AP of each class")
    values = [*(epoch.get(name) for name in ("train_loss", "val_loss", "mAP")), *ap.values()]
    if not all(value is None or isinstance(value, int | float) for value in values):
        raise ValueError(f"line {number} has a loss or an AP that is not a number")


def finished_runs(runs: Path) -> list[Run]:
    """The runs of a folder whose status says done."""
    found = [Run(status.parent) for status in sorted(runs.glob("*/status.json"))]
    done = []
    for run in found:
        with suppress(UserError):  # a damaged status of one run does not hide the others
            done += [run] if is_done(run) else []
    return done


def newest_finished_run(runs: Path) -> Run | None:
    """The run of a folder that finished last, None where none has."""
    chosen = newest([run.status for run in finished_runs(runs)])
    return Run(chosen.parent) if chosen else None


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Writes tensors and plain values; the file appears when it is whole."""
    import torch

    whole = {"format": FORMAT, "version": VERSION, **content}
    with replacing(path) as aside, aside.open("wb") as file:
        allocate(file.fileno(), 1 + _bytes_of(whole))  # torch gives no clear error for a full disk, this does
        torch.save(whole, file)
        file.truncate()


def _bytes_of(value: Any) -> int:
    """The bytes of the tensors in a checkpoint."""
    if isinstance(value, dict | list | tuple):
        return sum(map(_bytes_of, value.values() if isinstance(value, dict) else value))
    return int(getattr(value, "nbytes", 0))


def read_checkpoint(path: Path, keys: list[str]) -> dict[str, Any]:
    """Reads a checkpoint that `write_checkpoint` wrote, to the CPU.

    Args:
        path: the file.
        keys: what must be in it.

    Raises:
        UserError: missing, damaged (even by one bit), not a checkpoint of cxrlt, of another version, or incomplete.
    """
    import torch

    hint = "name a run of `cxrlt train`, or train one"
    if not is_file(path):
        raise UserError(f"{path} is not there", hint)
    try:
        _check_crc(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError as error:
        raise UserError(f"{path} needs more memory than there is, or it is damaged", hint) from error
    except Stopped:
        raise
    except Exception as error:  # a damaged archive makes torch raise nearly anything
        raise UserError(f"{path} cannot be read as a checkpoint: {reason(error)}", hint) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path} is not a checkpoint of cxrlt", hint)
    if content.get("version") != VERSION:
        raise UserError(f"{path} has version {content.get('version')} of its format, this cxrlt reads {VERSION}", hint)
    absent = [key for key in keys if key not in content]
    if absent:
        raise UserError(f"{path} lacks {listed(absent)}", hint)
    return content


def _check_crc(path: Path) -> None:
    """Compares each record of a checkpoint with its CRC-32, which torch writes and does not check.

    Raises:
        ValueError: a record differs, or the file is not a zip archive.
    """
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged:
        raise ValueError(f"its record {damaged!r} was changed (CRC-32)")
