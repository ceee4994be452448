"""How files are damaged, and what must come of it: one message that names the file."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cxrlt_cli.errors import UserError

GOLDEN = Path(__file__).parents[1] / "data/version_0_2/workspace"
Read = Callable[[Path], object]
Harm = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """A file of the golden workspace, how it is damaged, and what reads it."""

    file: str
    name: str
    harm: Harm
    read: Read

    def __str__(self) -> str:
        return f"{self.file}, {self.name}"

    def check(self, folder: Path) -> None:
        """Damages a copy: its reader, which takes it before, refuses it by name."""
        path = folder / self.file
        if path.parent == folder:
            shutil.copy(GOLDEN / self.file, path)
        else:  # with what lies beside it
            shutil.copytree((GOLDEN / self.file).parent, path.parent)
        self.read(path)
        self.harm(path)
        with pytest.raises(UserError) as caught:
            self.read(path)
        assert str(path.parent) in caught.value.message
        assert path.name in caught.value.message
        assert "\n" not in caught.value.message
        assert caught.value.hint


def cut(fraction: float) -> Harm:
    """Keeps the first part of a file."""
    return lambda path: path.write_bytes(path.read_bytes()[: int(fraction * path.stat().st_size)])


def cases_of_any(file: str, read: Read) -> Iterator[Case]:
    """A file cut short, or of something else."""
    for fraction in (0, 0.1, 0.5, 0.9, 0.99):
        yield Case(file, f"cut to {fraction:.0%}", cut(fraction), read)
    yield Case(file, "noise", lambda path: path.write_bytes(np.random.default_rng(0).bytes(4096)), read)


def refused_or_the_same(path: Path, content: bytes, read: Read, before: object) -> bool:
    """Whether reading changed bytes is refused; where it is not, they must mean the same."""
    path.write_bytes(content)
    try:
        found = read(path)
    except UserError as error:
        if str(path) not in error.message:
            raise
        return True
    assert repr(found) == repr(before)
    return False


def with_flipped_bit(content: bytes, place: int) -> bytes:
    """The same with one bit of a byte changed."""
    return content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :]
