"""Decisions at thresholds: those of the evaluation, or at thresholds chosen on the run's validation split."""

import math
from dataclasses import dataclass
from typing import Any

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.artifacts.evaluation import Evaluation
from cxrlt_cli.paths import is_file
from cxrlt_cli.report.metrics import Estimate
from cxrlt_cli.report.subjects import Subject
from cxrlt_cli.scores.decisions import RATIOS, choose_thresholds, decision_rows
from cxrlt_cli.scores.labelled import Scored, read_scored

Row = dict[str, Any]
_SPECIFICITY = 0.9  # if there is no evaluation, which names one


@dataclass(frozen=True)
class OperatingPoints:
    """Decisions of one subject.

    Attributes:
        rows: from `decision_rows`, one per class and rule.
        chosen_on: the images on which thresholds were chosen, as text.
        held_out: whether these images are not among those scored.
        specificity: target of the rule `specificity`.
    """

    rows: list[Row]
    chosen_on: str
    held_out: bool
    specificity: float

    def of(self, name: str) -> list[Row]:
        """The rows of a class: rule `f1`, then rule `specificity`."""
        return [row for row in self.rows if row["class"] == name]


def operating_points(subject: Subject, dataset: Dataset) -> OperatingPoints:
    """Decisions of a subject's evaluation; else at thresholds chosen on its run's validation split, or on the same images."""
    evaluation = subject.evaluation
    if evaluation is not None and evaluation.decisions:  # version 0.2 wrote none
        chosen = evaluation.thresholds
        return OperatingPoints(evaluation.decisions, chosen.chosen_on, chosen.held_out, chosen.specificity)
    validation = _validation(subject, dataset)
    thresholds = choose_thresholds(validation or subject.scored, _SPECIFICITY)
    chosen_on = f"the validation split, as scored by {subject.name}" if validation else "the images evaluated"
    return OperatingPoints(decision_rows(subject.scored, thresholds), chosen_on, validation is not None, _SPECIFICITY)


def _validation(subject: Subject, dataset: Dataset) -> Scored | None:
    """The validation scores of a subject's only run; None if they are not comparable to the reported scores."""
    scored = subject.scored
    alone = len(subject.runs) == 1 and not subject.absent and is_file(subject.runs[0].validation)
    if not alone or scored.split == "val" or scored.header.calibration or scored.header.views > 1:
        return None
    return read_scored(subject.runs[0].validation, dataset, "val")


def decision_tables(points: OperatingPoints, groups: dict[str, str], order: list[str]) -> Row:
    """The decisions in the form that the template draws: a table per rule.

    Args:
        points: of the first subject.
        groups: class -> head, medium, tail or empty.
        order: of the classes.
    """
    rules = {"f1": "Threshold of the best F1", "specificity": f"Threshold of a specificity of {points.specificity:g}"}
    tables = []
    for rule, title in rules.items():
        rows = {row["class"]: row for row in points.rows if row["rule"] == rule}
        shown = [
            {**rows[name], "group": groups[name], "ratios": {ratio: estimate(rows[name], ratio) for ratio in RATIOS}}
            for name in order
        ]
        tables.append({"rule": rule, "title": title, "rows": shown})
    without = [name for name in order if all(_undefined(row["threshold"]) for row in points.of(name))]
    return {"tables": tables, "chosen_on": points.chosen_on, "held_out": points.held_out, "without": without}


def _undefined(value: float | None) -> bool:
    return value is None or math.isnan(value)


def estimate(row: Row, name: str) -> Estimate:
    """A metric of an evaluation with its interval; null in JSON (undefined) becomes NaN."""
    found = (row.get(key) for key in (name, f"{name}_low", f"{name}_high"))
    return Estimate(*(float("nan") if value is None else float(value) for value in found))


def decision_means(evaluation: Evaluation | None) -> list[Row]:
    """Mean F1 and mean sensitivity over classes, each at its thresholds; empty without an evaluation that has them."""
    if evaluation is None:
        return []
    rules = {
        "f1": "thresholds of the best F1",
        "sensitivity": f"thresholds of a specificity of {evaluation.thresholds.specificity:g}",
    }
    rows = []
    for name, at in rules.items():
        mean = estimate(evaluation.metrics, f"mean_{name}")
        if not math.isnan(mean.value):
            rows.append({"name": "mean F1" if name == "f1" else "mean sensitivity", "at": at, "mean": mean})
    return rows


def calibration_errors(evaluation: Evaluation | None) -> Row | None:
    """Calibration error per class and its mean, and the applied calibration; None without an evaluation."""
    if evaluation is None:
        return None
    applied = evaluation.predictions.calibration
    return {
        "mean": estimate(evaluation.metrics, "mean_ece"),
        "rows": [{"name": row["class"], "error": estimate(row, "ece")} for row in evaluation.per_class],
        "applied": f"{applied.name} ({applied.method})" if applied else "",
    }


def subgroups(evaluation: Evaluation | None) -> Row | None:
    """The mean metrics of each subgroup of an evaluation; None without subgroups."""
    means: list[Row] = [row for row in (evaluation.subgroups if evaluation else []) if not row["class"]]
    if not means:
        return None
    shown = [row for row in means if row["auroc"] is not None]
    facts = ("by", "value", "images", "classes", "defined")
    return {
        "rows": [
            {
                **{key: row[key] for key in facts},
                **{key: row.get(key) for key in ("patients", "p_holm")},
                "chance": _number(row.get("prevalence")),
                **{name: estimate(row, name) for name in ("ap", "auroc", "auroc_difference")},
            }
            for row in shown
        ],
        "small": [row for row in means if row["auroc"] is None],
        "compared": any("auroc_difference" in row for row in shown),  # absent in earlier versions
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
