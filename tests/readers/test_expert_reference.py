"""What counts as right: majorities by hand, and a table that readers made."""

from pathlib import Path

import numpy as np
import pytest

from cxrlt_cli.errors import UserError
from cxrlt_cli.readers.label_table import HumanLabels
from cxrlt_cli.readers.reference import leave_one_out_reference, majority, majority_as_reference, table_as_reference


def people(calls: list[str], path: str = "reads.csv") -> HumanLabels:
    """A text a reader and a character an image: + positive, - negative, space not read."""
    positive = np.array([[[mark == "+"] for mark in text] for text in calls])
    known = np.array([[[mark != " "] for mark in text] for text in calls])
    return HumanLabels(Path(path), list("ABCDE"[: len(calls)]), positive, known)


def shown(positive: np.ndarray, known: np.ndarray) -> str:
    return "".join(" " if not there else "+" if yes else "-" for yes, there in zip(positive[:, 0], known[:, 0], strict=True))


def test_majority() -> None:
    readers = people(["++-+ ", "+--- ", "+--  "])
    assert shown(*majority(readers.positive, readers.known)) == "+--  ", "a tie and nobody are unknown"
    assert shown(*majority(readers.positive[:1], readers.known[:1])) == "     ", "one reader is no majority"


def test_the_majority_of_some(capsys: pytest.CaptureFixture[str]) -> None:
    readers = people(["++--", "+-+-", "+-+-", "--++"])
    found = majority_as_reference(readers, ["A", "B", "C"])
    assert shown(*found.of(3)) == "+-+-"
    assert found.in_reference.tolist() == [True, True, True, False]
    assert "majority" not in capsys.readouterr().err
    majority_as_reference(readers, ["A", "B"])
    assert "2 of 4 labels have no majority" in capsys.readouterr().err
    with pytest.raises(UserError, match="no reader X"):
        majority_as_reference(readers, ["A", "X"])


def test_all_others() -> None:
    found = leave_one_out_reference(people(["++--", "+-+-", "+-+-"]))
    assert [shown(*found.of(r)) for r in range(3)] == ["+-+-", "+  -", "+  -"]
    assert not found.in_reference.any()
    with pytest.raises(UserError, match="has 2 readers"):
        leave_one_out_reference(people(["+", "-"]))


def test_a_table_that_the_readers_made_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    readers = people(["++--", "+-+-", "+--+", "-+-+"])
    assert table_as_reference(people(["+---"]), readers).in_reference.tolist() == [True, True, True, False]
    assert "equals the majority of A, B, C" in capsys.readouterr().err
    assert table_as_reference(people(["-+-+"]), readers).in_reference.tolist() == [False, False, False, True]
    assert not table_as_reference(people(["++++"]), readers).in_reference.any()
    assert len(table_as_reference(people(["++++"]), None).in_reference) == 0
