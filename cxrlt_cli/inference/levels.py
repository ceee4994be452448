"""Which subgroup each row is in: by a column of the table, or by whether it shows a class."""

from itertools import pairwise

import numpy as np
import pandas as pd

from cxrlt_cli.errors import UserError, nearest
from cxrlt_cli.inference.scored import Scored

AGE_BANDS = (0, 20, 40, 60, 80)  # years at which a band begins
_MOST_NUMBERS = 12  # different numbers of a column that are subgroups of their own; more are quarters
_MOST = 40  # subgroups of a column


def refuse_unknown_columns(scored: Scored, by: tuple[str, ...]) -> None:
    """Raises UserError where a column to divide by is not there, or divides into too many parts."""
    there = [*scored.table.columns, *scored.classes]
    for name in by:
        if name not in there:
            raise UserError(
                f"--by {name!r} is no column{nearest(name, there)}",
                f"there are {', '.join(scored.table.columns)}, the classes, and what --by-table adds",
            )
        count = levels_of(scored, name).nunique()
        if count > _MOST:
            hint = f"at most {_MOST}: group its values in a column of a table of your own, and give that with --by-table"
            raise UserError(f"--by {name!r} has {count:,} different values", hint)


def levels_of(scored: Scored, column: str) -> pd.Series:
    """The subgroup of each row; by a class: whether it is there."""
    if column in scored.table:
        return subgroup_of(scored.table[column], column)
    c = scored.classes.index(column)
    return pd.Series(np.where(scored.known[:, c], np.where(scored.targets[:, c] == 1, "positive", "negative"), "unknown"))


def subgroup_of(values: pd.Series, column: str) -> pd.Series:
    """The subgroup of each row as text: its value, of an age its band, of many numbers its quarter; `unknown` for none."""
    if column == "age":
        return _age_bands(pd.to_numeric(values, errors="coerce"))
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.nunique() > _MOST_NUMBERS and numbers.notna().sum() == values.notna().sum():
        return _quarters(numbers)
    return values.astype(object).where(values.notna(), "unknown").astype(str)


def _age_bands(years: pd.Series) -> pd.Series:
    names = [f"{low:02}-{high - 1}" for low, high in pairwise(AGE_BANDS)] + [f"{AGE_BANDS[-1]}+"]
    band = np.searchsorted(AGE_BANDS, years.fillna(0), side="right") - 1
    known = years.notna() & (years >= 0)
    return pd.Series([names[max(index, 0)] if there else "unknown" for index, there in zip(band, known, strict=True)])


def _quarters(numbers: pd.Series) -> pd.Series:
    """Four parts of about as many rows, named by their least and greatest number; equal numbers are in one part."""
    part = np.searchsorted(numbers.quantile([0.25, 0.5, 0.75]), numbers, side="left")
    named = {}
    for index in range(4):
        inside = numbers[(part == index) & numbers.notna()]
        named[index] = f"quarter {index + 1}: {inside.min():g} to {inside.max():g}" if len(inside) else ""
    return pd.Series([named[index] if there else "unknown" for index, there in zip(part, numbers.notna(), strict=True)])
