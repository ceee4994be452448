"""Runs the tasks of a study: each once, by the first worker or job that gets its lock; finished tasks are kept."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.files import exclusive
from cxrlt_cli.artifacts.json_files import write_json
from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.artifacts.run import is_done as run_is_done
from cxrlt_cli.console import dated, say
from cxrlt_cli.errors import UserError
from cxrlt_cli.machine import cores
from cxrlt_cli.paths import is_file
from cxrlt_cli.signals import StopRequest, stop_requests
from cxrlt_cli.study.plan import Task
from cxrlt_cli.subcommand import run_subcommand

_LAST_LINES = 3


class Failed(Exception):
    """A failed task, with the last lines that its command printed."""

    def __init__(self, task: Task, message: str) -> None:
        super().__init__(message)
        self.task = task
        self.message = message


def do_all(tasks: Sequence[Task], first: Task, folder: Path, jobs: int) -> dict[str, Failed]:
    """Runs tasks and the tasks that they need.

    Args:
        tasks: in the order in which they are started.
        first: finished before all others, in all jobs: it measures the fastest precision and memory layout, and the others
            use its result.
        folder: of the studies; logs go to `logs/`, time and memory of each task to `tasks/`.
        jobs: number of tasks at the same time, which share the cores.

    Returns:
        Name of a failed task -> its failure; the other tasks are finished.

    Raises:
        Stopped: by SIGTERM or SIGUSR1, after the running commands have saved.
    """
    failed: dict[str, Failed] = {}
    with stop_requests() as stop:

        def do(task: Task) -> None:
            try:
                _ensure(task, folder, max(1, cores() // jobs), stop)
            except Failed as failure:
                failed[task.name] = failure

        do(first)
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(do, tasks))
        if stop:
            raise stop.stopped(f"{folder} keeps what is done; the same command continues")
    return failed


def _ensure(task: Task, folder: Path, threads: int, stop: StopRequest) -> None:
    for need in task.needs:
        _ensure(need, folder, threads, stop)
    if stop or is_done(task):
        return
    with exclusive(folder / "locks" / task.name, wait=True):
        if not stop and not is_done(task):
            _do(task, folder, threads, stop)


def is_done(task: Task) -> bool:
    """Whether the artifact of a task exists and is complete."""
    if task.arguments[0] != "train":
        return is_file(task.made)
    with suppress(UserError):
        return run_is_done(Run(task.made))
    return False


def _do(task: Task, folder: Path, threads: int, stop: StopRequest) -> None:
    log = folder / "logs" / f"{task.name}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(dated(f"$ cxrlt {' '.join(task.arguments)}") + "\n")
        file.flush()
        ended = run_subcommand(list(task.arguments), Path.cwd(), threads, file, stop)
    if stop:
        return
    if ended.code or not is_done(task):
        lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
        raise Failed(task, "; ".join(lines[-_LAST_LINES:]))
    minutes = ended.seconds / 60
    say(dated(f"{task.arguments[0]} {task.name}: {minutes:.1f} min"))
    write_json(folder / "tasks" / f"{task.name}.json", {"minutes": minutes, "peak_bytes": ended.peak, "time": time.time()})


def taken(task: Task, folder: Path) -> dict[str, Any]:
    """`minutes` and `peak_bytes` of a finished task; empty if they are not known."""
    try:
        content: dict[str, Any] = json.loads((folder / "tasks" / f"{task.name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content
