"""Decoding workers: processes or threads. They write pixels to the image file; only row numbers are sent."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path

import cv2
import numpy as np

from cxrlt_cli.artifacts.row_access import RowWriter
from cxrlt_cli.artifacts.row_layout import Layout
from cxrlt_cli.errors import UserError, reason
from cxrlt_cli.machine import cores, refused_semaphores, warn_of_threads
from cxrlt_cli.preprocess.image_hashes import hashes_of
from cxrlt_cli.preprocess.remarks import Remark, UnreadableImageError
from cxrlt_cli.preprocess.settings import PixelSettings, make_square
from cxrlt_cli.signals import STOP_SIGNALS

_BLOCK = 16  # images per task: enough to hide the queue, few enough to balance the load
_FEW = 128  # number of images below which starting processes takes longer than decoding


@dataclass(frozen=True)
class ImageFile:
    """An image to decode; `inverted` as in `preprocess.settings.read_square`."""

    path: Path
    inverted: bool = False


#: Row numbers, and a function from rows to files: paths are built when they are needed.
Work = tuple[np.ndarray, Callable[[np.ndarray], list[ImageFile]]]


@dataclass(frozen=True)
class Decoded:
    """The result of one row: `error` is the reason why it has no pixels, or empty; `remarks` are warnings about the file."""

    row: int
    error: str
    remarks: tuple[Remark, ...] = ()


def decode_rows(layout: Layout, settings: PixelSettings, work: Work, workers: int) -> Generator[list[Decoded]]:
    """Decodes image files into their rows of an allocated image file.

    Args:
        layout: the image file.
        settings: of the pixels.
        work: the rows to fill, and a function from rows to files.
        workers: processes; 0 for one per core. Threads for few images, or if the machine allows no semaphores.

    Yields:
        The results of a block of rows, as blocks finish. Their pixels are written but may not be on the disk yet.

    Raises:
        UserError: a process was killed, or the pixels cannot be written.
    """
    rows, files_of = work
    parts = (rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK))
    blocks = (list(zip(part.tolist(), files_of(part), strict=True)) for part in parts)
    count = min(workers or cores(), -(-len(rows) // _BLOCK)) or 1
    waiting: set[Future[list[Decoded]]] = set()
    try:
        with _workers(count, layout, settings, few=len(rows) <= _FEW) as (pool, decode):
            for block in blocks:
                waiting.add(_submit(pool, decode, block))
                if len(waiting) >= 3 * count:  # a bounded queue: memory does not grow with the number of images
                    finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in finished)
            while waiting:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
    except BrokenProcessPool as error:
        hint = "probably out of memory: give fewer --workers, and continue with --resume"
        raise UserError("a decoding process was killed", hint) from error
    except OSError as error:
        raise UserError(
            f"pixels cannot be written to {layout.path}: {error}", "see whether the disk is full; continue with --resume"
        ) from error


#: Decodes a block of rows.
_Decode = Callable[[list[tuple[int, ImageFile]]], list[Decoded]]


@contextmanager
def _workers(count: int, layout: Layout, settings: PixelSettings, few: bool) -> Iterator[tuple[Executor, _Decode]]:
    """A pool and the function of its workers: processes, unless there are few images or the machine allows no semaphores."""
    if not few:
        with _signals_wait():  # multiprocessing's resource tracker ignores all of them except SIGUSR1, which would kill it
            resource_tracker.ensure_running()
    refused = "" if few else refused_semaphores()
    if refused:
        warn_of_threads(refused)
    with ExitStack() as held:
        pool: Executor
        decode: _Decode
        if few or refused:
            writer = RowWriter(layout)
            held.callback(writer.close)
            pool, decode = ThreadPoolExecutor(count), partial(_decode_block, writer, settings)
        else:
            context = multiprocessing.get_context("spawn")
            pool, decode = ProcessPoolExecutor(count, context, _start, (layout, settings, os.getpid())), _decode
        held.callback(pool.shutdown, cancel_futures=True)
        others = set(multiprocessing.active_children())
        try:
            yield pool, decode
        except BrokenProcessPool:
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()  # the pool would wait for ever: its SIGTERM is ignored, and the lock of its queue may be lost
            raise


def _submit(pool: Executor, decode: _Decode, block: list[tuple[int, ImageFile]]) -> Future[list[Decoded]]:
    """Hands a block to a pool, which may start a process. Raises UserError if it cannot."""
    try:
        with _signals_wait():
            return pool.submit(decode, block)
    except OSError as error:
        hint = "give fewer --workers, or raise the limit of processes (ulimit -u); continue with --resume"
        raise UserError(f"a decoding process cannot be started: {reason(error)}", hint) from error


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Blocks signals while a process is started: they would kill it before it ignores them in `_start`.

    They reach all processes of a terminal or a job; only the parent acts on them. Windows cannot block signals.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_writer: RowWriter
_settings: PixelSettings


def _start(layout: Layout, settings: PixelSettings, parent: int) -> None:
    global _writer, _settings
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    cv2.setNumThreads(1)  # the processes share the cores
    _writer, _settings = RowWriter(layout), settings


def _end_with(parent: int) -> None:
    """Ends this process when its parent is killed: the workers of a pool would wait for ever."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _decode(block: list[tuple[int, ImageFile]]) -> list[Decoded]:
    return _decode_block(_writer, _settings, block)


def _decode_block(writer: RowWriter, settings: PixelSettings, block: list[tuple[int, ImageFile]]) -> list[Decoded]:
    return [_decode_one(writer, settings, row, file) for row, file in block]


def _decode_one(writer: RowWriter, settings: PixelSettings, row: int, file: ImageFile) -> Decoded:
    try:
        square = make_square(file.path, settings, file.inverted)
    except UnreadableImageError as error:
        return Decoded(row, str(error))
    writer.write(row, square.pixels, hashes_of(square.pixels))
    return Decoded(row, "", square.remarks)
