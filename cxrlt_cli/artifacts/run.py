"""`runs/NAME/`: configuration, status, history, and the two checkpoints of a training run.

Checkpoints hold tensors and plain values only and are loaded with `weights_only=True`: a file from elsewhere cannot run code.
"""

import json
import os
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from cxrlt_cli.artifacts.files import replacing, write_text
from cxrlt_cli.artifacts.json_files import read_json, write_json
from cxrlt_cli.artifacts.parsing import damage_reported, parse
from cxrlt_cli.errors import Stopped, UserError, listed, reason
from cxrlt_cli.paths import is_file
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
class RunLabels:
    """What a run's label queries were made from, so that other labels can be scored (`label_texts` of its `config.json`).

    Attributes:
        encoder: name, source, pooling, width and hash of the text encoder, and which of prompt and description it encoded.
        prompts: class -> the texts that were encoded.
        held_out: the classes that no training label named.
    """

    encoder: dict[str, Any]
    prompts: dict[str, list[str]]
    held_out: list[str] = field(default_factory=list)


def labels_of_run(checkpoint: dict[str, Any], path: Path) -> RunLabels:
    """The label texts in the checkpoint of a run. Raises UserError where it keeps none: an earlier version made it."""
    described, hint = checkpoint["described"], "train the run again with this version"
    if "label_texts" not in described:
        raise UserError(f"{path} keeps no label texts", hint)
    return parse(RunLabels, described["label_texts"], path, hint)


def shown_options(described: dict[str, Any]) -> dict[str, str]:
    """The options in a run's `config.json` as text, with what `--weights auto` came to, as in `auto (imagenet)`."""
    options = {name: str(value) for name, value in described.get("options", {}).items()}
    if options.get("weights") == "auto" and "encoder_weights" in described:
        options["weights"] = f"auto ({described['encoder_weights']})"
    return options


def write_status(run: Run, state: State, **facts: Any) -> None:
    """Writes `status.json`."""
    write_json(run.status, {"state": state, "time": datetime.now(UTC).isoformat(timespec="seconds"), **facts})


def write_history(run: Run, epochs: list[dict[str, Any]]) -> None:
    """Writes `history.jsonl`, one line an epoch. The epochs stand in `last.pt` too: both always tell the same."""
    write_text(run.history, "".join(json.dumps(epoch) + "\n" for epoch in epochs))


def read_history(run: Run) -> list[dict[str, Any]]:
    """Reads `history.jsonl`. Raises UserError where it is not there or damaged."""
    hint = "the run is damaged: train it again"
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
    return [run for run in found if _is_done(run)]


def _is_done(run: Run) -> bool:
    """Whether a run's status says done; a damaged status of one run does not hide the others."""
    try:
        return read_json(run.status).get("state") == "done"
    except UserError:
        return False


def newest_finished_run(runs: Path) -> Run | None:
    """The run of a folder that finished last, None where none has."""
    chosen = newest([run.status for run in finished_runs(runs)])
    return Run(chosen.parent) if chosen else None


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Writes tensors and plain values; the file appears when it is whole."""
    import torch

    whole = {"format": FORMAT, "version": VERSION, **content}
    with replacing(path) as aside, aside.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 1 + _bytes_of(whole))  # torch has no words for a full disk, this has
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
        UserError: not there, damaged (a single changed bit is found), not ours, of another version, or incomplete.
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
