"""Paired differences to a base in mAP, mean AUROC, head, medium, tail and each class."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.comparison import ComparedScorer
from cxrlt_cli.artifacts.json_files import without_nan
from cxrlt_cli.labels.groups import GROUPS, rule
from cxrlt_cli.metrics.intervals import holm
from cxrlt_cli.metrics.paired import Differences, paired, score_all
from cxrlt_cli.scores.labelled import Scored

Row = dict[str, Any]


@dataclass(frozen=True)
class PairedRows:
    """Differences to a base.

    Attributes:
        group_rule: how classes are grouped by their training prevalence.
        undefined: classes without a positive.
        others: per scorer the rows `means` (mAP, mean AUROC, groups) and `classes` (the most frequent in training first). A
            row: figure (name of the metric), group, base, value, difference, low, high, p, positive_patients, note; of classes
            also p_holm. Undefined metrics are None.
    """

    group_rule: str
    undefined: list[str]
    others: list[ComparedScorer]


def differences_to_base(
    scored: list[Scored], names: list[str], bounds: tuple[float, float], draws: tuple[int, int, int]
) -> PairedRows:
    """Paired differences of each scorer to the first.

    Args:
        scored: scores of the same images; the first is the base.
        names: one per scorer.
        bounds: training prevalence above which a class is head, and above which it is medium.
        draws: number of resamples for intervals, number of permutations for p-values, and seed.
    """
    first = scored[0]
    resamples, permutations, seed = draws
    logits = np.stack([one.logits for one in scored])
    scorers = score_all(logits, first.targets, first.label_mask, first.patients, resamples, seed)
    groups = np.array([str(group) for group in first.groups(bounds)])
    order = np.lexsort((-scorers.metrics[0].positives, -first.train_prevalence))
    parts = {"mAP": np.ones(len(groups), dtype=bool)} | {name: groups == name for name in GROUPS if (groups == name).any()}
    others = []
    for model in range(1, len(scored)):
        ap, auroc = paired(scorers, [0], [model], permutations, seed)
        rows = [_rows([name], ap.of_mean(part))[0] for name, part in parts.items()]
        rows.insert(1, _rows(["mean AUROC"], auroc.of_mean(parts["mAP"]))[0])
        of_classes = ap.of_classes()
        classes = _rows(first.classes, of_classes)
        for c, p in enumerate(holm(of_classes.p)):
            classes[c] |= {"group": None if groups[c] == "None" else str(groups[c]), "p_holm": float(p)}
        others.append(ComparedScorer(names[model], without_nan(rows), without_nan([classes[c] for c in order])))
    groups_by = rule(bounds) if first.train_label_counts.any() else "none, the dataset has no train split"
    return PairedRows(groups_by, [first.classes[c] for c in order if np.isnan(scorers.metrics[0].ap[c])], others)


def _rows(names: list[str], found: Differences) -> list[Row]:
    """One row for each of G differences."""
    return [
        {
            "figure": name,
            "base": float(found.base[g]),
            "value": float(found.other[g]),
            "difference": float(found.difference[g]),
            "low": float(found.low[g]),
            "high": float(found.high[g]),
            "p": float(found.p[g]),
            "positive_patients": int(found.positive_patients[g]),
            "note": found.notes[g],
        }
        for g, name in enumerate(names)
    ]
