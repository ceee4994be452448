"""The record that every artifact carries: what made it, from what, with which versions, where and when."""

import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from cxrlt_cli import __version__
from cxrlt_cli.artifacts.files import fingerprint
from cxrlt_cli.paths import exists

_PACKAGES = ("torch", "torchvision", "transformers", "numpy", "pandas", "pyarrow", "h5py", "pillow")


def record(config: dict[str, Any], inputs: Iterable[Path | dict[str, Any]] = ()) -> dict[str, Any]:
    """The provenance of an artifact about to be written.

    Args:
        config: the stage's options in their saved form.
        inputs: the files it was made from: their fingerprints, taken when they were read; those of paths are taken now.
    """
    return {
        "command": ["cxrlt", *sys.argv[1:]],
        "config": config,
        "inputs": [fingerprint(one) if isinstance(one, Path) else one for one in inputs],
        "versions": _versions(),
        "git": _git(),
        "host": socket.gethostname(),
        "job": {key: os.environ[key] for key in sorted(os.environ) if key in _JOB},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


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


def made_by(provenance: dict[str, Any]) -> dict[str, Any]:
    """What of a provenance record is worth telling."""
    if not provenance:
        return {}
    versions = provenance.get("versions", {})
    return {
        "made_by": " ".join(provenance.get("command", [])),
        "time": provenance.get("time"),
        "host": provenance.get("host"),
        "version": versions.get("cxrlt"),
        "git": provenance.get("git"),
        "inputs": [entry["path"] for entry in provenance.get("inputs", [])],
    }
