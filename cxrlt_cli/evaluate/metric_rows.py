"""Metrics as rows per class and as means, as in `metrics.json` and `per_class.csv`."""

from typing import Any

import numpy as np

from cxrlt_cli.evaluate.bootstrap_metrics import Metric, Metrics
from cxrlt_cli.labels.groups import Group
from cxrlt_cli.metrics.harmonic import harmonic_mean
from cxrlt_cli.metrics.intervals import MIN_POSITIVE_PATIENTS
from cxrlt_cli.metrics.ranking import PerClass
from cxrlt_cli.metrics.ranking_intervals import ClassEstimates, MeanEstimate
from cxrlt_cli.scores.labelled import Scored

Row = dict[str, Any]
_MEANS = {"ap": "mAP", "auroc": "mean_auroc", "f1": "mean_f1", "sensitivity": "mean_sensitivity", "ece": "mean_ece"}


def with_interval(name: str, metric: Metric | MeanEstimate) -> Row:
    """`name`, `name_low` and `name_high` of a mean over classes; of a mean AP also `name_corrected`."""
    low, high = metric.interval
    row = {name: float(metric.value), f"{name}_low": float(low), f"{name}_high": float(high)}
    if isinstance(metric, MeanEstimate) and metric.skewed:
        row[f"{name}_corrected"] = float(metric.corrected)
    return row


def class_rows(scored: Scored, groups: list[Group] | list[None], counts: PerClass, metrics: Metrics) -> list[Row]:
    """One row per class, the most frequent in training first."""
    prevalence = scored.train_prevalence
    ap = metrics["ap"]
    assert isinstance(ap, ClassEstimates)
    intervals = {name: metrics[name].interval for name in _SHOWN if name in metrics}
    rows = []
    for c in np.lexsort((-counts.positives, -prevalence)).tolist():
        row: Row = {"class": scored.classes[c], "group": groups[c]}
        row |= {name: float(metrics[name].value[c]) for name in ("ap", "auroc")}
        row |= {name: int(getattr(counts, name)[c]) for name in ("positives", "negatives", "unknown")}
        row |= {name: float(metrics[name].value[c]) for name in ("prevalence", "ap_over_prevalence")}
        row |= {"train_positives": int(scored.train_positives[c]), "train_prevalence": float(prevalence[c])}
        row |= {"positive_patients": int(ap.patients[c]), "ap_corrected": float(ap.corrected[c])}
        for name, (low, high) in intervals.items():
            if name not in row:
                row[name] = float(metrics[name].value[c])
            row |= {f"{name}_low": float(low[c]), f"{name}_high": float(high[c])}
        rows.append(row)
    return rows


_SHOWN = ("ap", "auroc", "ap_over_prevalence", "f1", "sensitivity", "specificity", "ece")


def without_interval(rows: list[Row]) -> Row:
    """Class -> why its AP and AUROC have no interval."""
    few = {row["class"]: row["positive_patients"] for row in rows if 0 < row["positive_patients"] < MIN_POSITIVE_PATIENTS}
    return {name: f"{count} patients with a positive; an interval needs {MIN_POSITIVE_PATIENTS}" for name, count in few.items()}


def add_thresholds(rows: list[Row], decisions: list[Row]) -> None:
    """Adds the thresholds of both rules to each row.

    Args:
        rows: of `class_rows`.
        decisions: of `scores.decisions.decision_rows`.
    """
    at = {(row["class"], row["rule"]): row["threshold"] for row in decisions}
    for row in rows:
        row |= {f"{rule}_threshold": at[row["class"], rule] for rule in ("f1", "specificity")}


def means(metrics: Metrics, chosen: np.ndarray, undefined: str = "leave-out") -> Row:
    """Macro means with intervals, each over the chosen classes with a defined value.

    Args:
        metrics: name -> metric with (C,) values.
        chosen: (C,) bool, classes of the mean.
        undefined: `zero` counts the AP of a class without a positive as 0.
    """
    ap = metrics["ap"]
    defined = ~np.isnan(ap.value) & chosen
    prevalence = metrics["prevalence"].value[defined]
    found: Row = {"classes": int(chosen.sum()), "defined": int(defined.sum())}
    for name, mean in _MEANS.items():
        if name in metrics:
            metric = metrics[name]
            if name == "ap" and undefined == "zero" and isinstance(metric, ClassEstimates):
                metric = metric.undefined_is_zero()
            found |= with_interval(mean, metric.mean(chosen))
    return found | {"mean_prevalence": float(prevalence.mean()) if len(prevalence) else float("nan")}


def seen_and_unseen(metrics: Metrics, unseen: np.ndarray, undefined: str = "leave-out") -> dict[str, Row]:
    """`seen`: means over the trained classes, `unseen`: over the held-out ones, `harmonic` of both; empty if all are trained.

    Args:
        metrics: by name, (C,) values.
        unseen: (C,) bool, the classes that no training label names.
        undefined: as of `means`.
    """
    if not unseen.any() or unseen.all():
        return {}
    harmonic: Row = {}
    for name in ("ap", "auroc"):
        metric = metrics[name]
        assert isinstance(metric, ClassEstimates)
        harmonic |= with_interval(_MEANS[name], harmonic_mean(metric, ~unseen, unseen))
    both = {"seen": means(metrics, ~unseen, undefined), "unseen": means(metrics, unseen, undefined)}
    return {**both, "harmonic": harmonic}
