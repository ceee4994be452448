"""Damaged checkpoints end in one message that names the file; a single changed bit is found."""

from pathlib import Path

import pytest
from damage import GOLDEN, Case, Read, cases_of_any, refused_or_the_same, with_flipped_bit

from cxrlt_cli.artifacts.run import read_checkpoint

BEST, LAST = "runs/whole/best.pt", "runs/stopped/last.pt"


def best(path: Path) -> object:
    """What `predict` reads."""
    return read_checkpoint(path, ["model", "spec", "classes"])


def last(path: Path) -> object:
    """What `train --resume` reads."""
    return read_checkpoint(path, ["model", "optimizer"])


@pytest.mark.parametrize("case", [*cases_of_any(BEST, best), *cases_of_any(LAST, last)], ids=str)
def test_is_refused_by_name(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)


@pytest.mark.parametrize(("file", "read"), [(BEST, best), (LAST, last)], ids=["best.pt", "last.pt"])
def test_a_changed_bit_is_found_or_means_nothing(file: str, read: Read, tmp_path: Path) -> None:
    whole = (GOLDEN / file).read_bytes()
    before = read(GOLDEN / file)
    places = range(0, len(whole), len(whole) // 60)
    found = [refused_or_the_same(tmp_path / "x.pt", with_flipped_bit(whole, place), read, before) for place in places]
    assert sum(found) > 10
