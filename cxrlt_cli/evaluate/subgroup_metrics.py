"""The same figures for parts of the images: by sex, age band, another label, or whatever a column says of them."""

from typing import Any

import numpy as np

from cxrlt_cli.evaluate.bootstrap_metrics import Figure, ranking_figures
from cxrlt_cli.evaluate.metric_rows import means, with_interval
from cxrlt_cli.evaluate.subgroups import levels_of
from cxrlt_cli.scores.labelled import Scored

Row = dict[str, Any]


def subgroup_rows(scored: Scored, column: str, resamples: int, seed: int, undefined: str) -> list[Row]:
    """A row for each value of a column and each class, the means over classes first (class is empty there).

    A patient may have images in several subgroups; each is resampled on its own. Means are over the classes that have a
    positive in the subgroup, which `defined` counts; a class by which images are divided is left out.
    """
    rows = []
    levels = levels_of(scored, column)
    asked = np.array([name != column for name in scored.classes])
    for level in sorted(set(levels)):
        part = scored.rows((levels == level).to_numpy())
        counts, figures = ranking_figures(part, resamples, seed)
        facts = {"by": column, "value": level}
        rows.append(facts | _mean_row(part, figures, asked, undefined))
        for c in np.flatnonzero(asked).tolist():
            row = {**facts, "class": part.classes[c], "images": int(counts.positives[c] + counts.negatives[c])}
            row |= {"classes": None, "defined": None}
            row |= {"positives": int(counts.positives[c]), "prevalence": float(counts.prevalence[c])}
            for name in ("ap", "auroc"):
                figure = figures[name]
                row |= with_interval(name, Figure(figure.value[c], figure.resampled[:, c]))
            rows.append(row)
    return rows


def _mean_row(part: Scored, figures: dict[str, Figure], asked: np.ndarray, undefined: str) -> Row:
    overall = means(figures, asked, undefined)
    row: Row = {"class": "", "images": len(part.table), "classes": overall["classes"], "defined": overall["defined"]}
    row |= {"positives": None, "prevalence": None}
    for name, mean in (("ap", "mAP"), ("auroc", "mean_auroc")):
        row |= {name + end: overall[mean + end] for end in ("", "_low", "_high")}
    return row
