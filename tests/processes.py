"""Commands as processes of their own, to be sent signals or to work together.

A process is forked from a server that has imported torch, timm and the stages already: to start Python and import them takes
seven seconds of a processor each time, a fork none. What `python -m cxrlt_cli` itself does is for the tests of the console.
"""

import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import IO

from cxrlt_cli import subcommand
from cxrlt_cli.signals import StopRequest

SERVER = multiprocessing.get_context("forkserver")
#: Held to start a process: `Process.start` also asks how earlier ones ended, and two threads would read one answer.
START = threading.Lock()


def run_server() -> None:
    """Starts the server, if it does not run; to be called with `START` held, since it changes the environment meanwhile.

    The server finds `preloaded` on a path that its processes do not keep.
    """
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *([before] if before else [])])
    SERVER.set_forkserver_preload(["preloaded"])
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


def nothing() -> None:
    """What most processes do before their command."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def run_module(
    name: str,
    arguments: list[str],
    cwd: Path | str,
    environment: dict[str, str],
    streams: Sequence[str],
    first: Callable[[], object] = nothing,
) -> None:
    """`python -m NAME ARGUMENTS` in the process that was forked for it; its stdout and stderr go to the files `streams`."""
    os.setpgrp()  # as a shell starts it
    for stream, path in zip((1, 2), streams, strict=True):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(handle, stream)
        os.close(handle)
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1, closefd=False) for stream in (1, 2))  # those were of a file
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [name, *arguments]
    first()
    if name != "cxrlt_cli":
        runpy.run_module(name, run_name="__main__", alter_sys=True)
        return
    from cxrlt_cli.app import main

    main()  # runpy would make each worker process of the command import all of it again


class Process:
    """A command that runs, to be used as a `subprocess.Popen` whose output is text in pipes."""

    def __init__(
        self, *arguments: object, cwd: Path, environment: dict[str, str], first: Callable[[], object] = nothing
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._files = [Path(self._folder.name) / name for name in ("out", "err")]
        for path in self._files:
            path.touch()
        given = ("cxrlt_cli", list(map(str, arguments)), cwd, environment, list(map(str, self._files)), first)
        self._process = SERVER.Process(target=run_module, args=given)
        with START:
            run_server()
            self._process.start()
        self.pid = self._process.pid or 0
        _started.append(self)

    @property
    def returncode(self) -> int | None:
        """Negative where a signal ended it, None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal, unless the process has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it by SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Waits until it has ended."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("cxrlt", timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Waits until it has ended; what it wrote to stdout and stderr."""
        self.wait(timeout)
        out, err = (path.read_text() for path in self._files)
        return out, err


#: What a failed test leaves running would be waited for at the end.
_started: list[Process] = []


def kill_all() -> None:
    """Kills what still runs of all that was started."""
    for process in _started:
        process.kill()


def start(*arguments: object, cwd: Path, first: Callable[[], object] = nothing) -> Process:
    """Starts a command as a process of its own, to be sent signals; the process calls `first` before the command."""
    return Process(*arguments, cwd=cwd, environment=dict(os.environ), first=first)


def start_ranks(count: int, *arguments: object, cwd: Path) -> list[Process]:
    """Starts a command as `count` processes that work together, as torchrun would."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        Process(*arguments, cwd=cwd, environment={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(count)
    ]


def ended(processes: list[Process], seconds: float = 240) -> list[Ended]:
    """How processes ended, all of them within `seconds`."""
    end = time.monotonic() + seconds
    try:
        written = [process.communicate(timeout=max(end - time.monotonic(), 0.1)) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [Ended(process.wait(), *both) for process, both in zip(processes, written, strict=True)]


def forked_subcommand(
    arguments: list[str], folder: Path, threads: int = 0, output: IO[str] | None = None, stop: StopRequest | None = None
) -> subcommand.Ended:
    """`subcommand.run_subcommand`, but for the start of Python; one thread computes, and no stop is passed on."""
    since = time.monotonic()
    process = Process(*arguments, cwd=folder, environment=dict(os.environ))
    out, err = process.communicate()
    (output or sys.stdout).write(out)
    (output or sys.stderr).write(err)
    return subcommand.Ended(process.wait(), time.monotonic() - since, 1)


def wait_for(path: Path, seconds: float = 200) -> None:
    """Waits until a file is there."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.005)
