"""Metrics of subgroups of the images (sex, age band, label, any column), on the same classes in each subgroup of a column."""

from dataclasses import replace
from typing import Any

import numpy as np

from cxrlt_cli.evaluate.bootstrap_metrics import ranking_metrics
from cxrlt_cli.evaluate.metric_rows import with_interval
from cxrlt_cli.evaluate.subgroups import levels_of
from cxrlt_cli.metrics.intervals import holm
from cxrlt_cli.metrics.ranking import means_of_defined
from cxrlt_cli.metrics.ranking_intervals import ClassEstimates
from cxrlt_cli.scores.labelled import Scored

Row = dict[str, Any]
MIN_PATIENTS = 5  # with a positive, and with a negative, that a class needs to count in a subgroup
_METRICS = ("ap", "auroc")
_EMPTY: Row = {
    "positives": None, "positive_patients": None, "prevalence": None,
    **{f"{name}{end}": float("nan") for name in (*_METRICS, "auroc_difference") for end in ("", "_low", "_high")},
    "ap_corrected": float("nan"), "p": float("nan"), "p_holm": float("nan"), "in_mean": None, "reason": "",
}  # fmt: skip


def subgroup_rows(scored: Scored, column: str, resamples: int, seed: int) -> list[Row]:
    """For each value of a column, a row of means over classes (its `class` is empty), then a row per class.

    A class counts in a subgroup with at least `MIN_PATIENTS` positive and as many negative patients. All means of the column
    are over the same classes: those that count in every subgroup with metrics. A subgroup in which too few classes count has no
    metrics, and `reason` says why. `auroc_difference` is the mean AUROC of the subgroup minus that of all other images. If the
    column is a class, that class is left out.

    Args:
        scored: scores with labels.
        column: column of its table, or a class.
        resamples: number of resamples of the patients.
        seed: of the resamples.
    """
    levels = levels_of(scored, column).to_numpy()
    wanted = np.array([name != column for name in scored.classes])
    inside = {level: levels == level for level in sorted(set(levels))}
    countable = {level: _countable(scored, rows) & wanted for level, rows in inside.items()}
    in_all = _countable(scored, np.ones(len(levels), dtype=bool)) & wanted
    common = _comparable(countable, in_all)
    rows: list[Row] = []
    for level, part in inside.items():
        facts = {"by": column, "value": level, "class": "", "images": int(part.sum())}
        facts |= {
            "patients": len(np.unique(scored.patients[part])),
            "classes": int(wanted.sum()),
            "defined": int(common.sum()),
        }
        if (common & countable[level]).sum() < max(common.sum(), 1):
            need = f"have {MIN_PATIENTS} positive and {MIN_PATIENTS} negative patients"
            reason = f"{countable[level].sum()} of {in_all.sum()} classes {need}"
            rows.append({**facts, **_EMPTY, "defined": int(countable[level].sum()), "reason": reason})
        else:
            rows += _level_rows(scored, part, facts, (wanted, common), (resamples, seed))
    means = [row for row in rows if not row["class"]]
    pairs = len(inside) == 2  # each is the complement of the other: one comparison, no correction
    for row, corrected in zip(means, holm(np.array([row["p"] for row in means])), strict=True):
        row["p_holm"] = row["p"] if pairs else float(corrected)
    return rows


def _countable(scored: Scored, rows: np.ndarray) -> np.ndarray:
    """(C,) bool: the classes with enough positive and enough negative patients among (N,) bool rows."""
    return np.array([min(_patients(scored, rows, c)) >= MIN_PATIENTS for c in range(len(scored.classes))])


def _patients(scored: Scored, rows: np.ndarray, c: int) -> tuple[int, int]:
    """Number of patients with a positive label of a class, and with a negative one."""
    known = scored.label_mask[:, c] & rows
    positive, negative = (len(np.unique(scored.patients[known & (scored.targets[:, c] == value)])) for value in (1, 0))
    return positive, negative


def _comparable(countable: dict[str, np.ndarray], in_all: np.ndarray) -> np.ndarray:
    """(C,) bool: the classes that count in every subgroup with metrics.

    Subgroups with the fewest classes are dropped one by one, until the others have in common at least a quarter of the classes
    that count in the whole sample.
    """
    shown = sorted(countable.values(), key=lambda classes: int((classes & in_all).sum()))
    while shown:
        common: np.ndarray = np.logical_and.reduce([in_all, *shown])
        if common.any() and 4 * common.sum() >= in_all.sum():
            return common
        shown = shown[1:]
    return np.zeros(len(in_all), dtype=bool)


def _level_rows(
    scored: Scored, part: np.ndarray, facts: Row, chosen: tuple[np.ndarray, np.ndarray], bootstrap: tuple[int, int]
) -> list[Row]:
    """The rows of one subgroup, given as (N,) bool; subgroup and complement have the same resamples."""
    wanted, common = chosen
    counts, metrics = ranking_metrics(_only(scored, part), *bootstrap)
    _, others = ranking_metrics(_only(scored, ~part), *bootstrap)
    mean = {**facts, **_EMPTY, "prevalence": float(counts.prevalence[common].mean())}
    for name in _METRICS:
        mean |= with_interval(name, metrics[name].mean(common))
    rows = [mean]
    if _countable(scored, ~part)[common].all():
        value, rest = (float(means_of_defined(one["auroc"].value[common])) for one in (metrics, others))
        resampled, rest_resampled = (means_of_defined(one["auroc"].resampled[:, common]) for one in (metrics, others))
        patients = min(facts["patients"], len(np.unique(scored.patients[~part])))
        mean |= _difference(value - rest, resampled - rest_resampled, patients)
    for c in np.flatnonzero(wanted).tolist():
        positive, negative = _patients(scored, part, c)
        row = {**facts, **_EMPTY, "class": scored.classes[c], "images": int(counts.positives[c] + counts.negatives[c])}
        row |= {"classes": None, "defined": None, "in_mean": bool(common[c]), "positive_patients": positive}
        row |= {"positives": int(counts.positives[c]), "prevalence": float(counts.prevalence[c])}
        few, kind = min((positive, "positive"), (negative, "negative"))
        if few < MIN_PATIENTS:
            rows.append(row | {"reason": f"{few} {kind} patients, fewer than {MIN_PATIENTS}"})
            continue
        for name in _METRICS:
            metric = metrics[name]
            low, high = metric.interval[:, c]
            row |= {name: float(metric.value[c]), f"{name}_low": float(low), f"{name}_high": float(high)}
            if name == "ap" and isinstance(metric, ClassEstimates):
                row["ap_corrected"] = float(metric.corrected[c])
        rows.append(row)
    return rows


def _only(scored: Scored, rows: np.ndarray) -> Scored:
    """The same images with the labels of other rows unknown, so that resamples are of all patients."""
    return replace(scored, label_mask=scored.label_mask & rows[:, None])


def _difference(value: float, resampled: np.ndarray, patients: int) -> Row:
    """A difference with its 95 % interval and two-sided p-value: Student's t with the standard deviation over resamples.

    Args:
        value: in the sample.
        resampled: (R,) in resamples.
        patients: number in the smaller part; the degrees of freedom are one less.
    """
    from scipy.special import stdtr, stdtrit

    row: Row = {"auroc_difference": value}
    defined = resampled[~np.isnan(resampled)]
    std = float(defined.std(ddof=1)) if len(defined) > 1 else 0.0
    if std == 0 or patients < 2:
        return row
    half = float(stdtrit(patients - 1, 0.975)) * std
    p = 2 * float(stdtr(patients - 1, -abs(value) / std))
    return row | {"auroc_difference_low": value - half, "auroc_difference_high": value + half, "p": p}
