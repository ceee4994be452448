"""Paired differences to a base in mAP, head, medium, tail and each class, over the same resamples of the patients."""

from typing import Any

import numpy as np

from cxrlt_cli.labels.groups import GROUPS, rule
from cxrlt_cli.metrics.bootstrap import resample
from cxrlt_cli.metrics.intervals import holm, p_values, percentile_interval
from cxrlt_cli.metrics.ranking import means_of_defined, per_class
from cxrlt_cli.scores.labelled import Scored

Row = dict[str, Any]


def differences_to_base(
    scored: list[Scored], names: list[str], bounds: tuple[float, float], bootstrap: tuple[int, int]
) -> dict[str, Any]:
    """What a comparison holds.

    Args:
        scored: of the same images; the first is the base.
        names: one for each.
        bounds: of head and medium.
        bootstrap: number of resamples, and seed.

    Returns:
        `group_rule`; `undefined` classes; `others`: for each a row of mAP, mean AUROC and groups, then a row a class, the most
        frequent in training first. A row: figure, group, base, value, difference, low, high, p, and p_holm of classes.
    """
    first = scored[0]
    logits = np.stack([one.logits for one in scored])
    resampled = resample(logits, first.targets, first.label_mask, first.patients, *bootstrap)
    found = [per_class(one.logits, first.targets, first.label_mask) for one in scored]
    ap, auroc = np.stack([one.ap for one in found]), np.stack([one.auroc for one in found])
    groups = np.array([str(group) for group in first.groups(bounds)])
    order = np.lexsort((-found[0].positives, -first.train_share))
    parts = {"mAP": np.ones(len(groups), dtype=bool)} | {name: groups == name for name in GROUPS if (groups == name).any()}
    others = []
    for model in range(1, len(scored)):
        pair = [0, model]
        rows = [_mean_row(name, ap[pair][:, part], resampled.ap[pair][:, :, part]) for name, part in parts.items()]
        rows.insert(1, _mean_row("mean AUROC", auroc[pair], resampled.auroc[pair]))
        differences = resampled.ap[model] - resampled.ap[0]
        classes = _rows([first.classes[c] for c in order], ap[pair][:, order], differences[:, order])
        corrected = holm(np.array([row["p"] for row in classes]))
        for row, c, p in zip(classes, order, corrected, strict=True):
            row |= {"group": None if groups[c] == "None" else str(groups[c]), "p_holm": float(p)}
        others.append({"name": names[model], "means": rows, "classes": classes})
    return {
        "group_rule": rule(bounds) if first.train_label_counts.any() else "none, the dataset has no train split",
        "undefined": [first.classes[c] for c in order if np.isnan(ap[0, c])],
        "others": others,
    }


def _mean_row(name: str, values: np.ndarray, resampled: np.ndarray) -> Row:
    """A row of the mean over classes: values (2, C), resampled (2, R, C)."""
    means, again = means_of_defined(values), means_of_defined(resampled)
    return _rows([name], means[:, None], (again[1] - again[0])[:, None])[0]


def _rows(names: list[str], values: np.ndarray, differences: np.ndarray) -> list[Row]:
    """A row for each of G figures: values (2, G), differences (R, G)."""
    low, high = percentile_interval(differences)
    p = p_values(differences)
    return [
        {
            "figure": name,
            "base": float(values[0, g]),
            "value": float(values[1, g]),
            "difference": float(values[1, g] - values[0, g]),
            "low": float(low[g]),
            "high": float(high[g]),
            "p": float(p[g]),
        }
        for g, name in enumerate(names)
    ]
