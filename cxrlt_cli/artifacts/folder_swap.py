"""An artifact of several files appears whole: its folder is written beside the old one, and changes places with it."""

import ctypes
import glob
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cxrlt_cli.artifacts.files import sync_folder
from cxrlt_cli.errors import UserError, reported_os_errors
from cxrlt_cli.paths import exists, is_folder

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of renameat2(2)


@contextmanager
def replacing_folder(folder: Path, own: Callable[[str], bool]) -> Iterator[Path]:
    """Gives an empty folder to write to, which takes the place of `folder` when the block ends well, and else is removed.

    On Linux the two folders change places in one step of the file system. Where the file system cannot do that, they are
    renamed one after the other, and the next call finishes what a kill between the two left.

    Args:
        folder: the artifact, made or replaced; its lock is held by the caller.
        own: whether a name in the folder is a file of the artifact. Other files stay where they are.

    Raises:
        UserError: `folder` is a file, cannot be written to, or the disk is full: the old files are as they were.
    """
    folder = folder.resolve()
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    if exists(folder) and not is_folder(folder):
        raise UserError(f"{folder} is not a folder: not replaced", "give the new one another name")
    with reported_os_errors(f"cannot write {folder}"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clean(folder, own)
        aside.mkdir()
        try:
            yield aside
            _sync(aside)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        _swap(aside, folder)
        _clean(folder, own)


def _swap(aside: Path, folder: Path) -> None:
    if not exists(folder):
        aside.rename(folder)
    elif not _exchanged(aside, folder):
        former = _former(folder)
        folder.rename(former)
        aside.rename(folder)
    sync_folder(folder.parent)


def _exchanged(one: Path, other: Path) -> bool:
    """Lets two folders change places in one step; false where the system or the file system does not know how."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    return bool(renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


def _former(folder: Path) -> Path:
    """Where the old folder is for a moment, while the new one gets its name."""
    return folder.with_name(f".{folder.name}.former.tmp")


def _clean(folder: Path, own: Callable[[str], bool]) -> None:
    """Removes the folders that earlier calls left beside this one, after other files in them were put back."""
    former = _former(folder)
    if is_folder(former) and not exists(folder):
        former.rename(folder)
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.*.tmp"):
        if left.is_symlink() or not is_folder(left):
            continue
        for path in left.iterdir() if is_folder(folder) else ():
            if not own(path.name) and not path.name.endswith(".tmp") and not exists(folder / path.name):
                path.rename(folder / path.name)
        shutil.rmtree(left, ignore_errors=True)


def _sync(folder: Path) -> None:
    for path in folder.iterdir():
        sync_folder(path)
    sync_folder(folder)
