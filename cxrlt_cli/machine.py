"""Cores and memory of this process."""

import ctypes
import multiprocessing
import os
import threading
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, reason


def cores() -> int:
    """Number of cores this process may use; on a cluster fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def refuse_no_threads() -> None:
    """Raises UserError where this process may start no thread: what shares work would wait for its threads for ever."""
    thread = threading.Thread(target=int)
    try:
        thread.start()
    except RuntimeError as error:
        raise UserError(f"no thread can be started here: {error}", "raise the limit of processes: ulimit -u") from error
    thread.join()


def keep_memory() -> None:
    """Makes glibc keep freed memory: torch frees and allocates the same large blocks at every step.

    Otherwise glibc returns each block to the system, which must zero its pages at the next allocation. Has no effect with
    another allocator. See `mallopt(3)`; constants from `malloc.h`.
    """
    most_mapped, trim_above, grow_by = -4, -1, -2
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # Windows has no library without a name
        return
    mallopt(most_mapped, 0)
    mallopt(trim_above, 2**31 - 1)
    mallopt(grow_by, 64 << 20)


def refused_semaphores() -> str:
    """Why processes cannot share a semaphore here, as where /dev/shm may not be written to; empty where they can."""
    if "fork" not in multiprocessing.get_all_start_methods():
        return ""  # Windows, where semaphores are no files
    try:
        multiprocessing.get_context("fork").Semaphore()  # one of "spawn" would start the resource tracker, unmasked
    except (OSError, ImportError) as error:  # ImportError: Python was built without them
        return reason(error)
    return ""


def process_pool(count: int) -> Executor:
    """A pool of processes; of threads, which is said, where processes cannot share a semaphore."""
    refused = refused_semaphores()
    if refused:
        warn_of_threads(refused)
        return ThreadPoolExecutor(count)
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"))


def warn_of_threads(refused: str) -> None:
    """Says that threads take the place of processes, and why."""
    warn(f"no semaphore can be made in /dev/shm ({refused}): threads decode instead of processes, which is slower")
