"""The subgroup of each row, by a column of the table or by the label of a class."""

from itertools import pairwise

import numpy as np
import pandas as pd

from cxrlt_cli.errors import UserError, nearest
from cxrlt_cli.scores.labelled import Scored

AGE_BANDS = (0, 20, 40, 60, 80)  # lower bounds of the bands, years
_MOST_NUMBERS = 12  # a numeric column with more distinct values is divided into quarters
_MOST = 40  # subgroups per column
_INTERNAL = ("cache", "row")


def check_columns(scored: Scored, by: tuple[str, ...]) -> None:
    """Raises UserError if a column does not exist, or has too many distinct values."""
    columns = [name for name in scored.table.columns if name not in _INTERNAL]
    there = [*columns, *scored.classes]
    for name in by:
        if name not in there:
            raise UserError(
                f"--by {name!r} is not a column{nearest(name, there)}",
                f"columns: {', '.join(columns)}, the classes, and the columns of --by-table",
            )
        count = levels_of(scored, name).nunique()
        if count > _MOST:
            hint = f"at most {_MOST}: group the values in a column of your own table, and give it with --by-table"
            raise UserError(f"--by {name!r} has {count:,} different values{_no_number(scored, name)}", hint)


def levels_of(scored: Scored, column: str) -> pd.Series:
    """The subgroup of each row; for a class: positive, negative or unknown."""
    if column in scored.table:
        return subgroup_of(scored.table[column], column)
    c = scored.classes.index(column)
    return pd.Series(np.where(scored.label_mask[:, c], np.where(scored.targets[:, c] == 1, "positive", "negative"), "unknown"))


def _no_number(scored: Scored, column: str) -> str:
    """Text for the message: the value that keeps a column from being numeric, and so from being divided into quarters."""
    text = _text(scored.table[column]).dropna()
    strange = text[pd.to_numeric(text, errors="coerce").isna()]
    few = len(strange) <= len(text) // 10
    return f", and {strange.iloc[0]!r} is not a number" if len(strange) and few else ""


def subgroup_of(values: pd.Series, column: str) -> pd.Series:
    """The subgroup of each row: its value, the band of an age, the quarter of many numbers or dates; `unknown` if empty."""
    if column == "age":
        return _age_bands(pd.to_numeric(values, errors="coerce"))
    if pd.api.types.is_datetime64_any_dtype(values):
        days = values.dt.strftime("%Y-%m-%d")
        return _quarters(values, days) if values.nunique() > _MOST_NUMBERS else days.fillna("unknown")
    text = _text(values)
    numbers = pd.to_numeric(text, errors="coerce")
    if numbers.nunique() > _MOST_NUMBERS and numbers.notna().sum() == text.notna().sum():
        return _quarters(numbers, numbers.map("{:.12g}".format))
    return text.fillna("unknown")


def _text(values: pd.Series) -> pd.Series:
    """Values as single-line text without surrounding blanks, None for empty ones; whole numbers without a decimal point."""
    plain = values.convert_dtypes() if pd.api.types.is_float_dtype(values) else values
    text = plain.astype(object).where(plain.notna(), "").astype(str).str.split().str.join(" ")
    return text.where(text != "", None)


def _age_bands(years: pd.Series) -> pd.Series:
    names = [f"{low:02}-{high - 1}" for low, high in pairwise(AGE_BANDS)] + [f"{AGE_BANDS[-1]}+"]
    band = np.searchsorted(AGE_BANDS, years.fillna(0), side="right") - 1
    known = years.notna() & (years >= 0)
    return pd.Series([names[max(index, 0)] if there else "unknown" for index, there in zip(band, known, strict=True)])


def _quarters(values: pd.Series, text: pd.Series) -> pd.Series:
    """Four parts of about equal size, named by the text of their lowest and highest value; equal values are in one part."""
    known = values.dropna().sort_values()
    ends = [known.iloc[int(fraction * (len(known) - 1))] for fraction in (0.25, 0.5, 0.75)]
    part = np.searchsorted(pd.Series(ends).to_numpy(), values.to_numpy(), side="left")
    found = pd.Series("unknown", index=values.index, dtype=object)
    for number in range(4):
        inside = values[(part == number) & values.notna()]
        if len(inside):
            found[inside.index] = f"quarter {number + 1}: {text[inside.idxmin()]} to {text[inside.idxmax()]}"
    return found
