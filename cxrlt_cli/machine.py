"""Cores and memory of this process, and processes that work for it."""

import ctypes
import multiprocessing
import os
import tempfile
import threading
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import resource_tracker
from multiprocessing.context import BaseContext

from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, reason

#: The server that forks has a socket in the folder of temporary files, and a socket's path has at most 107 characters.
_LONGEST_FOLDER = 70


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


def worker_context(module: str) -> BaseContext:
    """How processes that run functions of a module are started, with what they need for it running already.

    They are forked from one process that has imported the module, so that its imports take the time and memory of one process
    however many there are: NumPy and OpenCV take half a second of a processor. Windows has no fork; each imports for itself.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    if len(tempfile.gettempdir()) > _LONGEST_FOLDER:
        resource_tracker.ensure_running()
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver  # Windows cannot import it

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cxrlt_cli.app", module])
    forkserver.ensure_running()
    return context


def process_pool(count: int, module: str) -> Executor:
    """A pool of processes for functions of a module; of threads, which is said, where processes cannot share a semaphore."""
    refused = refused_semaphores()
    if refused:
        warn_of_threads(refused)
        return ThreadPoolExecutor(count)
    return ProcessPoolExecutor(count, worker_context(module))


def warn_of_threads(refused: str) -> None:
    """Says that threads take the place of processes, and why."""
    warn(f"no semaphore can be made in /dev/shm ({refused}): threads decode instead of processes, which is slower")
