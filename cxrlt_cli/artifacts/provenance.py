"""The record that every artifact carries: which command made it from which files, with which versions, where and when."""

import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any

from cxrlt_cli import __version__
from cxrlt_cli.artifacts.files import InputFile, fingerprint, sha256_of
from cxrlt_cli.errors import UserError
from cxrlt_cli.paths import exists


@dataclass(frozen=True)
class Provenance:
    """How an artifact was made (`record`); a record of an earlier version may lack any field.

    Attributes:
        command: the command line; from Python, the function that was called.
        config: the options.
        inputs: the files, in an order that the artifact knows.
        versions: package -> version.
        git: commit of the checkout; None where it was installed.
        host: name of the machine.
        job: of Slurm.
        time: UTC, ISO 8601.
    """

    command: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    inputs: list[InputFile] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    git: str | None = None
    host: str = ""
    job: dict[str, str] = field(default_factory=dict)
    time: str = ""


_PACKAGES = ("torch", "torchvision", "transformers", "numpy", "pandas", "pyarrow", "h5py", "pillow")


def record(config: dict[str, Any], inputs: Iterable[Path | InputFile] = ()) -> Provenance:
    """The provenance of an artifact about to be written.

    Args:
        config: the stage's options in their saved form.
        inputs: the files it was made from: their fingerprints, taken when they were read; those of paths are taken now.
    """
    return Provenance(
        command=_command(),
        config=config,
        inputs=[fingerprint(one) if isinstance(one, Path) else one for one in inputs],
        versions=_versions(),
        git=_git(),
        host=socket.gethostname(),
        job={key: os.environ[key] for key in sorted(os.environ) if key in _JOB},
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _command() -> list[str]:
    """The command line if `cxrlt_cli.app` is among the callers, else the outermost function of this package."""
    frame: FrameType | None = sys._getframe()
    called = ""
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module == "cxrlt_cli.app":
            return ["cxrlt", *sys.argv[1:]]
        if module.startswith("cxrlt_cli."):
            called = f"{module}.{frame.f_code.co_name}()"
        frame = frame.f_back
    return [called]


def refuse_replaced(inputs: Iterable[InputFile]) -> None:
    """Raises UserError if a file is another than the one that was read.

    Args:
        inputs: fingerprints that were taken before the files were read.
    """
    for one in inputs:
        if sha256_of(Path(one.path)) != one.sha256:
            raise UserError(f"{one.path} was replaced while it was in use: nothing is written", "run the command again")


_JOB = {"SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT", "SLURM_JOB_NAME"}


@cache
def _versions() -> dict[str, str]:
    found = {"cxrlt": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def _git() -> str | None:
    """Commit of the checkout that this package runs from, `-dirty` behind it where files differ; None if installed."""
    root = Path(__file__).resolve().parents[2]
    if not exists(root / ".git"):
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10, encoding="utf-8").stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def made_by(provenance: Provenance) -> dict[str, Any]:
    """The main fields of a provenance record, for display; empty if there is no record."""
    if provenance == Provenance():
        return {}
    return {
        "made_by": " ".join(provenance.command),
        "time": provenance.time,
        "host": provenance.host,
        "version": provenance.versions.get("cxrlt"),
        "git": provenance.git,
        "inputs": [file.path for file in provenance.inputs],
    }
