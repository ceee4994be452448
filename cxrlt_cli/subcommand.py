"""Runs a cxrlt command in its own process."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cxrlt_cli.signals import StopRequest

_PACKAGE = Path(__file__).parents[1]
_POLL = 0.1  # seconds


@dataclass(frozen=True)
class Ended:
    """Result of a command.

    Attributes:
        code: exit code, negative for the signal that killed it.
        seconds: wall-clock time.
        peak: peak resident memory of the process, bytes.
    """

    code: int
    seconds: float
    peak: int


def run_subcommand(
    arguments: list[str], folder: Path, threads: int = 0, output: IO[str] | None = None, stop: StopRequest | None = None
) -> Ended:
    """Runs `cxrlt ARGUMENTS` and waits for it.

    Args:
        arguments: command-line arguments after `cxrlt`.
        folder: working directory of the process, and its workspace unless the arguments name another.
        threads: number of compute threads; 0 for the default.
        output: file for its messages; None for this process's stderr.
        stop: once set, its signal is forwarded, so that the command saves and ends.
    """
    environment = {key: value for key, value in os.environ.items() if key != "CXRLT_WORKSPACE"}
    environment["PYTHONPATH"] = os.pathsep.join([str(_PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    began, signalled, peak = time.monotonic(), False, 0
    process = subprocess.Popen(
        [sys.executable, "-m", "cxrlt_cli", *arguments], cwd=folder, env=environment, stdout=output, stderr=output
    )
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            process.returncode = os.waitstatus_to_exitcode(status)  # otherwise Popen would wait for a process that has ended
            unit = 1 if sys.platform == "darwin" else 1024
            return Ended(process.returncode, time.monotonic() - began, peak or usage.ru_maxrss * unit)
        peak = _peak(process.pid) or peak
        if stop is not None and stop.signal is not None and not signalled:
            process.send_signal(signal.SIGTERM if stop.signal == signal.SIGINT else stop.signal)  # Ctrl-C has reached it too
            signalled = True
        time.sleep(_POLL)


def _peak(process: int) -> int:
    """Peak resident memory of a process since it was started, bytes; 0 if the system does not say.

    `ru_maxrss` of `wait4` also counts the moment between fork and exec, when the child still has the memory of its parent.
    """
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
