"""A mark beside an artifact while several of its files change their names: after a kill in between, it is still there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cxrlt_cli.errors import UserError, reported_os_errors
from cxrlt_cli.paths import exists


def _mark_of(artifact: Path) -> Path:
    return artifact.with_name(f".{artifact.name}.replacing")


@contextmanager
def marked(artifact: Path | None) -> Iterator[None]:
    """Holds the mark of an artifact; after an error in the block it stays, since some files may be new and others old.

    Args:
        artifact: its main file; None for no mark.

    Raises:
        UserError: the folder cannot be written to.
    """
    if artifact is None:
        yield
        return
    with reported_os_errors(f"cannot write {artifact}"):
        _mark_of(artifact).touch()
    yield
    with reported_os_errors(f"cannot write {artifact}"):
        _mark_of(artifact).unlink(missing_ok=True)


def refuse_half_replaced(artifact: Path, hint: str) -> None:
    """Raises UserError if some files of an artifact are old and others new: a process was killed while it replaced them."""
    if exists(_mark_of(artifact)):
        raise UserError(
            f"{artifact} and the files that belong to it were not all replaced: a command was killed meanwhile", hint
        )
