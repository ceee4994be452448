"""Figures as rows and means: what `metrics.json` and `per_class.csv` hold."""

from typing import Any

import numpy as np

from cxrlt_cli.evaluate.bootstrap_metrics import Figure
from cxrlt_cli.labels.groups import Group
from cxrlt_cli.metrics.ranking import PerClass
from cxrlt_cli.scores.labelled import Scored

Row = dict[str, Any]
_MEANS = {"ap": "mAP", "auroc": "mean_auroc", "f1": "mean_f1", "sensitivity": "mean_sensitivity", "ece": "mean_ece"}


def with_interval(name: str, figure: Figure) -> Row:
    """`name`, `name_low` and `name_high` of a figure of all classes."""
    low, high = figure.interval
    return {name: float(figure.value), f"{name}_low": float(low), f"{name}_high": float(high)}


def class_rows(scored: Scored, groups: list[Group] | list[None], counts: PerClass, figures: dict[str, Figure]) -> list[Row]:
    """A row a class, the most frequent in training first."""
    share = scored.train_share
    intervals = {name: figures[name].interval for name in _SHOWN if name in figures}
    rows = []
    for c in np.lexsort((-counts.positives, -share)).tolist():
        row: Row = {"class": scored.classes[c], "group": groups[c]}
        row |= {name: float(figures[name].value[c]) for name in ("ap", "auroc")}
        row |= {name: int(getattr(counts, name)[c]) for name in ("positives", "negatives", "unknown")}
        row |= {name: float(figures[name].value[c]) for name in ("prevalence", "ap_over_prevalence")}
        row |= {"train_positives": int(scored.train_positives[c]), "train_prevalence": float(share[c])}
        for name, (low, high) in intervals.items():
            if name not in row:
                row[name] = float(figures[name].value[c])
            row |= {f"{name}_low": float(low[c]), f"{name}_high": float(high[c])}
        rows.append(row)
    return rows


_SHOWN = ("ap", "auroc", "ap_over_prevalence", "f1", "sensitivity", "specificity", "ece")


def add_decisions(rows: list[Row], decisions: list[Row]) -> None:
    """Adds both thresholds to the classes' rows, and intervals: of F1 at one, of sensitivity and specificity at the other.

    Args:
        rows: of `class_rows`.
        decisions: of `scores.decisions.decision_rows`.
    """
    at = {(row["class"], row["rule"]): row for row in decisions}
    for row in rows:
        f1, specificity = at[row["class"], "f1"], at[row["class"], "specificity"]
        row |= {"f1_threshold": f1["threshold"], "specificity_threshold": specificity["threshold"]}
        for source, name in ((f1, "f1"), (specificity, "sensitivity"), (specificity, "specificity")):
            row |= {key: source[key] for key in (f"{name}_low", f"{name}_high")}


def means(figures: dict[str, Figure], chosen: np.ndarray, undefined: str = "leave-out") -> Row:
    """Macro means, with intervals, over some classes in which a figure is defined.

    Args:
        figures: by name, (C,) values.
        chosen: (C,) bool, the classes.
        undefined: `zero` counts the AP of a class without a positive as 0.
    """
    ap = figures["ap"]
    defined = ~np.isnan(ap.value) & chosen
    prevalence = figures["prevalence"].value[defined]
    found: Row = {"classes": int(chosen.sum()), "defined": int(defined.sum())}
    for name, mean in _MEANS.items():
        if name in figures:
            figure = figures[name].undefined_is_zero() if name == "ap" and undefined == "zero" else figures[name]
            found |= with_interval(mean, figure.mean(chosen))
    return found | {"mean_prevalence": float(prevalence.mean()) if len(prevalence) else float("nan")}
