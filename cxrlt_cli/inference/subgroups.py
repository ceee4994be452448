"""The same figures for parts of the images: by sex, age band, another label, or whatever a column says of them."""

from typing import Any

import numpy as np

from cxrlt_cli.inference.figures import ranking_figures
from cxrlt_cli.inference.levels import levels_of
from cxrlt_cli.inference.scored import Scored
from cxrlt_cli.inference.summary import means

_FIGURES = ("ap", "auroc")


def subgroup_rows(scored: Scored, column: str, resamples: int, seed: int, undefined: str) -> list[dict[str, Any]]:
    """A row for each value of a column and each class, the means over classes first (class is empty there).

    A patient may have images in several subgroups; each is resampled on its own.
    """
    rows = []
    levels = levels_of(scored, column)
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
