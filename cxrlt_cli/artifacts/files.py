"""Files appear whole or not at all, existing ones are not overwritten unasked, and two writers do not share one."""

import fcntl
import glob
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cxrlt_cli.errors import UserError, reported_os_errors
from cxrlt_cli.paths import exists

_WHOLE = 64 << 20  # files up to this many bytes are hashed whole
_SAMPLE = 1 << 20


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a path beside `path` to write to; renamed over `path` when the block ends well, removed when it does not.

    Raises:
        UserError: the folder cannot be written to, or is full.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with reported_os_errors(f"cannot write {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield aside
            with aside.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(aside, path)
            sync_folder(path.parent)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8; it appears when it is whole. Raises UserError as `replacing` does."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="")


def clear_unfinished(*paths: Path) -> None:
    """Removes what killed writers of these files left beside them; call it where a lock makes sure that none is alive."""
    for path in paths:
        for aside in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
            with suppress(OSError):
                aside.unlink()


def sync_folder(folder: Path) -> None:
    """Makes renames in a folder survive a crash of the machine, where the file system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def refuse_existing(path: Path, overwrite: bool, resumable: bool = False) -> None:
    """Raises UserError where `path` exists and `--overwrite` was not given."""
    if exists(path) and not overwrite:
        resume = "--resume goes on with it, " if resumable else ""
        raise UserError(f"{path} exists", f"{resume}--overwrite replaces it; or give the new one another name")


def check_writable(folder: Path) -> None:
    """Raises UserError before long work if nothing can be written to `folder` (made where it is not there)."""
    with replacing(folder / ".cxrlt-writable") as probe:
        probe.write_bytes(b"")
    with suppress(OSError):
        (folder / ".cxrlt-writable").unlink()


def refuse_no_space(folder: Path, needed: int) -> None:
    """Raises UserError where the file system of `folder` has fewer than `needed` bytes free."""
    with reported_os_errors(f"cannot read the free space of {folder}"):
        free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder} has {free / 1e9:,.3f} GB free, {needed / 1e9:,.3f} GB are needed", "free space, or name another folder"
        )


@contextmanager
def exclusive(path: Path, wait: bool = False) -> Iterator[None]:
    """Holds the lock file `path` while open, so that a second process does not write the same artifact.

    Args:
        path: made here, removed in the end.
        wait: for another to let go of it, instead of refusing.

    Raises:
        UserError: another living process holds it.
    """
    handle = _locked(path, wait)
    while handle is None and wait:
        handle = _locked(path, wait)
    if handle is None:
        raise UserError(f"another process was writing this a moment ago ({path})", "try again")
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(handle)


def _locked(path: Path, wait: bool) -> int | None:
    """An open handle that holds the lock; None where its last holder removed the file just now."""
    with reported_os_errors(f"cannot write {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(handle)
        raise UserError(f"another process is writing this ({path} is held)", "wait for it, or stop it") from None
    except OSError:
        pass  # a file system without locks: nothing to hold
    try:
        same = path.stat().st_ino == os.fstat(handle).st_ino
    except OSError:
        same = False
    if same:
        return handle
    os.close(handle)
    return None


def fingerprint(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file; of a large one, of its size and 64 blocks spread over it (`sampled` says so)."""
    with reported_os_errors(f"cannot read {path}"):
        size = path.stat().st_size
        digest = hashlib.sha256()
        with path.open("rb") as file:
            if size <= _WHOLE:
                digest.update(file.read())
            else:
                digest.update(str(size).encode())
                for block in range(64):
                    file.seek((size - _SAMPLE) * block // 63)
                    digest.update(file.read(_SAMPLE))
    return {"path": str(path), "bytes": size, "sha256": digest.hexdigest(), "sampled": size > _WHOLE}
