"""`--overwrite` of files that take long to make: the old ones are kept aside until there is something new to keep."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cxrlt_cli.artifacts.files import refuse_irregular_file
from cxrlt_cli.errors import reported_os_errors
from cxrlt_cli.paths import exists, is_folder

_ASIDE = ".replaced"


@contextmanager
def replaced(folder: Path, files: Sequence[Path], proof: Path) -> Iterator[None]:
    """Puts files of a folder aside while new ones are made; in the end the old are removed, or put back.

    A process that was killed leaves the old files aside; the next one to come here finds them, and keeps them.

    Args:
        folder: where the files are; what else is in it stays.
        files: those that are replaced.
        proof: where this one of them exists in the end, the old ones are no longer needed.

    Raises:
        UserError: the folder cannot be written to.
    """
    aside = folder / _ASIDE
    with reported_os_errors(f"cannot write {folder}"):
        if is_folder(aside) and not exists(proof):
            _move(files, aside, folder)
        shutil.rmtree(aside, ignore_errors=True)
        for unfinished in folder.glob(".*.tmp"):  # of a killed writer: this process holds the folder's lock
            unfinished.unlink()
        aside.mkdir()
        _move(files, folder, aside)
    try:
        yield
    finally:
        with reported_os_errors(f"cannot write {folder}"):
            if not exists(proof) and any(aside.iterdir()):
                for path in files:
                    path.unlink(missing_ok=True)
                _move(files, aside, folder)
            shutil.rmtree(aside, ignore_errors=True)


def _move(files: Sequence[Path], source: Path, target: Path) -> None:
    for path in files:
        refuse_irregular_file(source / path.name)
        refuse_irregular_file(target / path.name)
    for path in files:
        if exists(source / path.name):
            os.replace(source / path.name, target / path.name)
