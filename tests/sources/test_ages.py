"""Ages in years."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxrlt_cli.sources.ages import ages


def _read(*values: object, kind: str = "object") -> list[float]:
    found = ages(pd.Series(values, name="age", dtype=kind), Path("labels.csv"))
    assert found.dtype == np.float64
    return found.tolist()


def test_units(capsys: pytest.CaptureFixture[str]) -> None:
    """DICOM has nnnD, nnnW, nnnM, nnnY; 365.25 days and 52.18 weeks are a year."""
    found = _read("045Y", "013M", "006W", "010D", "000D", "120Y", "61", "61.0", " 7 y ", "18 months", "3 wks", "044y", "2yrs")
    expected = [45, 13 / 12, 6 * 7 / 365.25, 10 / 365.25, 0, 120, 61, 61, 7, 1.5, 21 / 365.25, 44, 2]
    assert found == pytest.approx(expected, abs=1e-9)
    assert capsys.readouterr().err == ""


def test_what_cannot_be_read_is_counted_and_the_first_named(capsys: pytest.CaptureFixture[str]) -> None:
    found = _read("60", "", None, "60-69", "414", "-3", "Y", "nan", "4 5", "inf", "045X", "1e1")
    assert found[0] == 60
    assert np.isnan(found[1:]).all()
    said = capsys.readouterr().err
    assert said.startswith("warning: labels.csv: 9 of 12 ages cannot be read and are left blank; the first is '60-69' in row 4")
    assert "column 'age'" in said


@pytest.mark.parametrize("kind", ["float64", "Float64", "str", "object"])
def test_columns_of_any_type(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    values = ["40", None, "81.5"] if kind == "str" else [40.0, None, 81.5]
    found = _read(*values, kind=kind)
    assert [found[0], found[2]] == [40, 81.5]
    assert np.isnan(found[1])
    assert np.isnan(_read(None, None, kind=kind)).all(), "a column of nothing"
    assert _read(3, 90, kind="int64") == [3, 90]
    assert capsys.readouterr().err == ""
