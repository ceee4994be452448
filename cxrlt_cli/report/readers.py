"""Readers and expert labels on the page: those that the first subject's evaluation holds."""

from typing import Any

import numpy as np

from cxrlt_cli.artifacts.evaluation import Evaluation, ReaderStudy
from cxrlt_cli.report.operating_points import estimate
from cxrlt_cli.report.panels import Mark, Panel, Series

Row = dict[str, Any]
#: Columns of the tables, each with its interval.
FIGURES = ("sensitivity", "specificity", "ppv", "kappa")


def reader_panels(evaluation: Evaluation | None, name: str) -> dict[str, list[Panel]]:
    """A ROC and a precision-recall chart of each class: the network against the reference, readers as points.

    Args:
        evaluation: of the subject; None without one.
        name: of the subject.
    """
    study = evaluation.reader_study if evaluation else None
    if evaluation is None or study is None:
        return {"readers_roc": [], "readers_pr": []}
    rows = {curve["class"]: [row for row in evaluation.readers if row["class"] == curve["class"]] for curve in study.curves}
    return {
        f"readers_{kind}": [_panel(curve, rows[curve["class"]], study, kind, name) for curve in study.curves]
        for kind in ("roc", "pr")
    }


def _panel(curve: Row, rows: list[Row], study: ReaderStudy, kind: str, name: str) -> Panel:
    x, y = (np.array(values) for values in curve[kind])
    marks = [mark for row in rows if (mark := _mark(row, study, kind))]
    what, value = ("AUROC", curve["auroc"]) if kind == "roc" else ("AP", curve["ap"])
    labels = ("1 - specificity", "sensitivity") if kind == "roc" else ("recall (sensitivity)", "precision (PPV)")
    points = "; ".join(f"{mark.label} {mark.x:.2f}, {mark.y:.2f}" for mark in marks)
    return Panel(
        curve["class"],
        f"{what} {value:.3f}, {curve['positives']} of {curve['images']} positive",
        f"{what} of {curve['class']}: {value:.3f}. Readers at {points or 'no point'}",
        *labels,
        [Series(name, 0, x, y, steps=kind == "pr")],
        level=curve["positives"] / curve["images"] if kind == "pr" else None,
        diagonal=kind == "roc",
        marks=marks,
    )


def _mark(row: Row, study: ReaderStudy, kind: str) -> Mark | None:
    """A reader or the panel as a point; None for a mean, and where the point is undefined."""
    known = row["reader"] in study.readers
    x, y = (row["specificity"], row["sensitivity"]) if kind == "roc" else (row["sensitivity"], row["ppv"])
    if x is None or y is None or not (known or row["reader"] == "panel"):
        return None
    rule = ("part" if row["in_reference"] else "reader") if known else "panel"
    return Mark(rule, float(1 - x if kind == "roc" else x), float(y), row["reader"])


def reader_tables(evaluation: Evaluation | None) -> Row | None:
    """The tables of readers; None where the evaluation has none."""
    study = evaluation.reader_study if evaluation else None
    if evaluation is None or study is None:
        return None
    rows = [_shown(row) for row in evaluation.readers]
    means = [row for row in rows if row["class"] and row["reader"] not in (*study.readers, "panel")]
    over = [row for row in rows if not row["class"]]
    return {
        "study": study,
        "tables": [
            ("classes", f"Means over the {over[0]['classes']} classes with enough patients" if over else "", "reader", over),
            ("readers", "Mean of the readers, by class", "class", means),
        ],
    }


def _shown(row: Row) -> Row:
    figures = {name: estimate(row, name) for name in (*FIGURES, "network_sensitivity", "sensitivity_difference")}
    numbers = {name: float("nan") if row[name] is None else row[name] for name in ("p", "p_holm")}
    return {name: row[name] for name in ("class", "reader", "in_reference", "classes")} | numbers | {"figures": figures}


def gap_table(evaluation: Evaluation | None) -> Row | None:
    """The scores against the dataset's labels and against the reference; None where the evaluation has no reference."""
    gap = evaluation.reference_gap if evaluation else None
    if evaluation is None or gap is None:
        return None
    names = ("auroc_labels", "auroc_reference", "auroc_difference", "ap_labels", "ap_reference", "labels_kappa")
    counts = ("images", "labels_positives", "reference_positives")
    rows = [
        {"class": row["class"] or "mean", "counts": [row[name] for name in counts]}
        | {name: estimate(row, name) for name in names}
        for row in evaluation.reference
    ]
    return {**vars(gap), "rows": rows}
