"""Files appear whole or not at all, existing ones are not overwritten unasked, and two writers do not share one."""

import errno
import glob
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from cxrlt_cli.artifacts.half_replaced import marked
from cxrlt_cli.errors import UserError, reported_os_errors
from cxrlt_cli.paths import exists, is_folder, kind_of
from cxrlt_cli.portable import is_read_only, largest_file, lock_file

_WHOLE = 64 << 20  # files up to this many bytes are hashed whole
_SAMPLE = 1 << 20


#: (file that is whole, its target) of a block of `replacing_together`; None for the first where the target is to be removed.
_Pending = list[tuple[Path | None, Path]]
_pending: ContextVar[_Pending | None] = ContextVar("pending", default=None)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a path beside `path` to write to; renamed over `path` when the block ends well, removed when it does not.

    Raises:
        UserError: the folder cannot be written to, or is full; or `path` is a device, a pipe, a socket or a folder.
    """
    aside, pending = path.with_name(f".{path.name}.{os.getpid()}.tmp"), _pending.get()
    whole = False
    try:
        with reported_os_errors(f"cannot write {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            refuse_irregular_file(path)
            yield aside
            _sync(aside)
            whole = True
            if pending is None:
                put_in_place(aside, path)
            else:
                pending.append((aside, path))
    finally:
        if pending is None or not whole:
            with suppress(OSError):
                aside.unlink(missing_ok=True)


@contextmanager
def replacing_together(artifact: Path | None = None) -> Iterator[None]:
    """Files of one artifact that `replacing` writes in this block get their names at its end, one right after the other.

    Where the block fails, none does: the old files stay as they were.

    Args:
        artifact: its main file, which is marked meanwhile (`artifacts.half_replaced`).

    Raises:
        UserError: a file cannot be renamed.
    """
    pending: _Pending = []
    token = _pending.set(pending)
    try:
        yield
        with marked(artifact):
            for aside, path in pending:
                with reported_os_errors(f"cannot write {path}"):
                    path.unlink(missing_ok=True) if aside is None else put_in_place(aside, path)
    finally:
        _pending.reset(token)
        for aside, _ in pending:
            with suppress(OSError):
                if aside is not None:
                    aside.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Removes a file that an artifact no longer has; in a block of `replacing_together`, at its end."""
    pending = _pending.get()
    if pending is not None:
        pending.append((None, path))
        return
    with reported_os_errors(f"cannot remove {path}"):
        path.unlink(missing_ok=True)


def put_in_place(aside: Path, path: Path) -> None:
    """Renames a file whose bytes are on the disk over `path`, in the same folder.

    Raises:
        UserError: `path` is there and is not a regular file.
    """
    refuse_irregular_file(path)
    os.replace(aside, path)
    sync_folder(path.parent)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def refuse_irregular_file(path: Path) -> None:
    """Raises UserError where `path` is there and is not a regular file: a rename would replace a device by a file."""
    kind = kind_of(path)
    if kind not in ("", "a file"):
        raise UserError(f"{path} is {kind}: not replaced", "name a file")


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8; it appears when it is whole. Raises UserError as `replacing` does."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="")


def clear_unfinished(*paths: Path) -> None:
    """Removes what killed writers of these files left beside them; call it where a lock makes sure that none is alive."""
    for path in paths:
        for aside in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
            with suppress(OSError):  # folders are those of `folder_swap`
                aside.unlink()


@contextmanager
def claimed(path: Path, overwrite: bool, *beside: Path) -> Iterator[None]:
    """Holds an artifact's lock while it is written, after checking again whether it exists. Removes what killed writers left.

    Args:
        path: the artifact, a file or a folder; the lock is a file beside it.
        overwrite: whether an existing one is replaced.
        beside: its other files.

    Raises:
        UserError: another process writes it, or it exists.
    """
    with exclusive(path.with_name(f".{path.name}.lock")):
        refuse_existing(path, overwrite)
        clear_unfinished(path, *beside)
        yield


def sync_folder(folder: Path) -> None:
    """Makes renames in a folder survive a crash of the machine, where the file system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def refuse_existing(path: Path, overwrite: bool, resumable: bool = False) -> None:
    """Checks an output before any work is done for it; nothing is made to try it.

    Raises:
        UserError: `path` exists and `--overwrite` was not given, or is a device, a pipe or a socket; or nothing can be written
            to its folder.
    """
    kind = kind_of(path)
    if kind not in ("", "a file", "a folder"):
        raise UserError(f"{path} is {kind}: not replaced", "name a file")
    if kind and not overwrite:
        resume = "--resume continues it, " if resumable else ""
        raise UserError(f"{path} exists", f"{resume}--overwrite replaces it; or give the new one another name")
    with reported_os_errors(f"cannot write {path}"):
        _refuse_unwritable(path.parent)


def _refuse_unwritable(folder: Path) -> None:
    """Raises OSError where nothing can be made in a folder, or in the nearest one above it that is there."""
    while not exists(folder) and folder != folder.parent:
        folder = folder.parent
    if is_folder(folder) and os.access(folder, os.W_OK | os.X_OK):
        return
    read_only = is_folder(folder) and is_read_only(folder)
    code = errno.EROFS if read_only else errno.EACCES if is_folder(folder) else errno.ENOTDIR
    raise OSError(code, os.strerror(code), str(folder))


def check_writable(folder: Path) -> None:
    """Raises UserError before long work if nothing can be written to `folder` (made where it is not there)."""
    with replacing(folder / ".cxrlt-writable") as probe:
        probe.write_bytes(b"")
    with suppress(OSError):
        (folder / ".cxrlt-writable").unlink()


def refuse_no_space(folder: Path, needed: int) -> None:
    """Raises UserError where `folder` has no space for a file of `needed` bytes, or files may not be so large."""
    most = largest_file()
    if most is not None and needed > most:
        raise UserError(
            f"files of at most {most / 1e9:,.3f} GB may be written, {needed / 1e9:,.3f} GB are needed",
            "raise the limit: ulimit -f",
        )
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
        wait: wait until another process releases it, instead of raising UserError.

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
        lock_file(handle, wait)
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


def sha256_of(path: Path) -> str:
    """The SHA-256 of `fingerprint`."""
    return fingerprint(path).sha256


@dataclass(frozen=True)
class InputFile:
    """A file that an artifact was made from: its size and SHA-256.

    Attributes:
        path: as it was given.
        bytes: size of the file.
        sha256: of the content; of a large file, of its size and 64 blocks spread over it.
        sampled: whether the file is such a large one.
    """

    path: str = ""
    bytes: int = 0
    sha256: str = ""
    sampled: bool = False


def fingerprint(path: Path) -> InputFile:
    """Size and SHA-256 of a file. In a block of `replacing_together`, of the file that was written there.

    Raises:
        UserError: it cannot be read.
    """
    place = next((aside for aside, target in _pending.get() or [] if aside and target == path), path)
    with reported_os_errors(f"cannot read {path}"):
        size = place.stat().st_size
        digest = hashlib.sha256()
        with place.open("rb") as file:
            if size <= _WHOLE:
                digest.update(file.read())
            else:
                digest.update(str(size).encode())
                for block in range(64):
                    file.seek((size - _SAMPLE) * block // 63)
                    digest.update(file.read(_SAMPLE))
    return InputFile(str(path), size, digest.hexdigest(), size > _WHOLE)
