"""What Linux has and macOS or Windows lack, and what happens there instead."""

import os
import sys
import time
from importlib import import_module
from typing import Any

_SECONDS_BETWEEN_TRIES = 0.1


def lock_file(handle: int, wait: bool = False, shared: bool = False) -> None:
    """Locks an open file until it is closed. On Windows its first byte is locked, and a shared lock is an exclusive one.

    Args:
        handle: of the file.
        wait: for another process to unlock it, instead of raising BlockingIOError.
        shared: other processes may hold shared locks of the file too.

    Raises:
        BlockingIOError: another process holds the lock.
        OSError: the file system has no locks.
    """
    try:
        import fcntl
    except ImportError:
        return _lock_first_byte(handle, wait)
    return fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))


def _lock_first_byte(handle: int, wait: bool) -> None:
    msvcrt: Any = import_module("msvcrt")
    while True:
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            return
        except PermissionError as error:
            if not wait:
                raise BlockingIOError(error.errno, error.strerror) from None
        time.sleep(_SECONDS_BETWEEN_TRIES)


def allocate(handle: int, size: int) -> None:
    """Makes an open file `size` bytes long, with space on the disk. Elsewhere than on Linux the space is not reserved.

    Raises:
        OSError: the disk is full.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
    else:
        os.ftruncate(handle, max(size, os.fstat(handle).st_size))


def flush_data(handle: int) -> None:
    """Writes the content of an open file to the disk, and of its metadata, where the system can, only the size."""
    getattr(os, "fdatasync", os.fsync)(handle)


def is_read_only(folder: str | os.PathLike[str]) -> bool:
    """Whether a file system is mounted for reading only; False where the system does not say."""
    return hasattr(os, "statvfs") and bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def peak_memory() -> int | None:
    """Peak resident memory of this process in bytes; None where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def largest_file() -> int | None:
    """Bytes that a file may have (`ulimit -f`); None for any number."""
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return None if most == resource.RLIM_INFINITY else most
