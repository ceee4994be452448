"""Which pictures show dense tissue dark."""

from pathlib import Path

import pandas as pd
import pytest

from cxrlt_cli.errors import UserError
from cxrlt_cli.sources.monochrome1 import inverted_of


def test_what_a_column_may_say() -> None:
    column = pd.Series(["1", "MONOCHROME1", "True", "yes", "0", "MONOCHROME2", "no", None, " "], name="inverted")
    assert inverted_of(column, Path("x.csv")).tolist() == [True] * 4 + [False] * 5


def test_anything_else_is_refused_with_its_row() -> None:
    with pytest.raises(UserError, match=r"x\.csv, column 'inverted', row 2: 'maybe'"):
        inverted_of(pd.Series(["1", "maybe"], name="inverted"), Path("x.csv"))
