"""Ages in years, from the formats of tables and DICOM."""

from pathlib import Path

import pandas as pd

from cxrlt_cli.console import warn

_OLDEST = 120.0  # years; ChestX-ray14's first table has ages up to 414
_IN_A_YEAR = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}
_AGE = r"^(?P<number>\d+(?:\.\d*)?)\s*(?P<unit>Y(?:RS?|O|EARS?)?|M(?:OS?|ONTHS?)?|W(?:KS?|EEKS?)?|D(?:AYS?)?)?$"


def ages(column: pd.Series, path: Path) -> pd.Series:
    """Ages in years; NaN for blank cells, unreadable ages (counted in a warning) and ages above 120.

    Args:
        column: years as a number, or a number and a unit: 045Y, 013M, 006W, 010D (DICOM PS3.5, value representation AS),
            also `13 months`.
        path: the table, for the warning.

    Returns:
        (N,) float64 years; 12 months, 52.18 weeks or 365.25 days are one.
    """
    codes, distinct = pd.factorize(column.astype(str), use_na_sentinel=False)  # few distinct ages, however long the table
    text = pd.Series(distinct, dtype=str).str.strip().str.upper()
    parts = text.str.extract(_AGE)
    numbers = pd.to_numeric(parts["number"], errors="coerce").astype(float)
    found = numbers / parts["unit"].str[0].map(_IN_A_YEAR).astype(float).fillna(1.0)
    years = pd.Series(found.where(found <= _OLDEST).to_numpy()[codes], index=column.index)
    lost = column.notna() & (text != "").to_numpy()[codes] & years.isna()
    if lost.any():
        row = int(lost.to_numpy().argmax())
        warn(
            f"{path}: {int(lost.sum())} of {len(column)} ages cannot be read and are left blank; the first is "
            f"{column.iloc[row]!r} in row {row + 1} of column {column.name!r} (years, or as in 045Y, 013M, 006W, 010D)"
        )
    return years
