"""The same figures for parts of the images: by sex, age band, view or source."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from cxrlt_cli.inference.figures import ranking_figures
from cxrlt_cli.inference.scored import Scored
from cxrlt_cli.inference.summary import means

AGE_BANDS = (0, 20, 40, 60, 80)  # years at which a band begins
_FIGURES = ("ap", "auroc")


def subgroup_rows(scored: Scored, column: str, resamples: int, seed: int, undefined: str) -> list[dict[str, Any]]:
    """A row for each value of a column and each class, the means over classes first (class is empty there).

    A patient may have images in several subgroups; each is resampled on its own.
    """
    rows = []
    levels = subgroup_of(scored.table[column], column)
    for level in sorted(set(levels)):
        part = scored.rows((levels == level).to_numpy())
        counts, figures = ranking_figures(part, resamples, seed)
        facts = {"by": column, "value": level}
        overall = means(figures, np.ones(len(part.classes), dtype=bool), undefined)
        row: dict[str, Any] = {**facts, "class": "", "images": len(part.table), "positives": None, "prevalence": None}
        for name, mean in zip(_FIGURES, ("mAP", "mean_auroc"), strict=True):
            row |= {name + end: overall[mean + end] for end in ("", "_low", "_high")}
        rows.append(row)
        intervals = {name: figures[name].interval for name in _FIGURES}
        for c, label in enumerate(part.classes):
            row = {**facts, "class": label, "images": int(counts.positives[c] + counts.negatives[c])}
            row |= {"positives": int(counts.positives[c]), "prevalence": float(counts.prevalence[c])}
            for name in _FIGURES:
                low, high = intervals[name][:, c]
                row |= {name: float(figures[name].value[c]), f"{name}_low": float(low), f"{name}_high": float(high)}
            rows.append(row)
    return rows


def subgroup_of(values: pd.Series, column: str) -> pd.Series:
    """The subgroup of each row as text: its value, of an age its band; `unknown` where there is none."""
    if column != "age":
        return values.astype(object).where(values.notna(), "unknown").astype(str)
    names = [f"{low:02}-{high - 1}" for low, high in pairwise(AGE_BANDS)] + [f"{AGE_BANDS[-1]}+"]
    years = pd.to_numeric(values, errors="coerce")
    band = np.searchsorted(AGE_BANDS, years.fillna(0), side="right") - 1
    known = years.notna() & (years >= 0)
    return pd.Series([names[max(index, 0)] if there else "unknown" for index, there in zip(band, known, strict=True)])
