"""Readers and reference of an evaluation as text for the terminal."""

from typing import Any

from cxrlt_cli.artifacts.evaluation import Evaluation
from cxrlt_cli.console import escaped, shortened, table

Row = dict[str, Any]


def expert_tables(evaluation: Evaluation) -> list[str]:
    """Lines about readers and reference; empty where an evaluation has none.

    Args:
        evaluation: from `read_evaluation`; undefined metrics are None.
    """
    return [*_readers(evaluation), *_reference(evaluation)]


_READERS = ("reader", "sensitivity", "specificity", "PPV", "kappa", "network's sens.", "difference", "95 %", "p", "p (Holm)")


def _readers(evaluation: Evaluation) -> list[str]:
    study = evaluation.reader_study
    rows: list[Row] = evaluation.readers
    if study is None:
        return []
    lines = ["", f"readers: {study.images:,} images of {study.patients:,} patients, against: {study.reference}"]
    over = [row for row in rows if not row["class"]]
    if over:
        count = next(row["classes"] for row in over)
        lines += [
            f"means over the {count} classes with enough patients:",
            table(_READERS, [_reader_cells(row) for row in over]),
        ]
    means = [row for row in rows if row["class"] and row["reader"] == _MEAN] or [row for row in rows if row["class"]]
    cells = [[row["class"], *_reader_cells(row)[1 if row["reader"] == _MEAN else 0 :]] for row in means]
    if means and means[0]["reader"] == _MEAN:
        lines += ["", f"{_MEAN}, by class:", table(("class", *_READERS[1:]), shortened(cells, _ALL))]
    elif means:
        lines += ["", table(("class", *_READERS), shortened(cells, _ALL))]
    ahead = study.network_ahead
    lines += [
        f"network's sens.: at the reader's own specificity; difference: network - reader; all readers and classes: {_ALL}",
        f"the network has the higher sensitivity in {ahead['ahead']} of {ahead['compared']} pairs of class and reader",
        f"  p (Holm) <= 0.05: {ahead['significantly_ahead']} ahead, {ahead['significantly_behind']} behind",
    ]
    if study.in_reference:
        lines.append(f"* part of the reference: metrics are optimistic ({escaped(', '.join(study.in_reference))})")
    return lines


_MEAN, _ALL = "mean of readers", "readers.csv of the evaluation"


def _reader_cells(row: Row) -> list[str]:
    cells = [f"{row['reader']}{' *' if row['in_reference'] else ''}"]
    cells += [_figure(row[name]) for name in ("sensitivity", "specificity", "ppv", "kappa", "network_sensitivity")]
    cells += _with_interval(row, "sensitivity_difference")
    return cells + ["-" if row[name] is None else f"{row[name]:.2g}" for name in ("p", "p_holm")]


def _reference(evaluation: Evaluation) -> list[str]:
    gap = evaluation.reference_gap
    rows: list[Row] = evaluation.reference
    if gap is None:
        return []
    header = ("class", "images", "labels +", "ref. +", "AUROC", "reference", "difference", "95 %", "AP", "reference", "kappa")
    cells = [
        [
            row["class"] or "mean",
            *("-" if row[name] is None else f"{row[name]:,}" for name in ("images", "labels_positives", "reference_positives")),
            *(_figure(row[f"auroc_{kind}"]) for kind in ("labels", "reference")),
            *_with_interval(row, "auroc_difference"),
            *(_figure(row[f"ap_{kind}"]) for kind in ("labels", "reference")),
            _figure(row["labels_kappa"]),
        ]
        for row in rows
    ]
    where = f"{gap.images:,} images of {gap.patients:,} patients"
    return [
        "",
        f"against the labels of the dataset and against {escaped(gap.reference)}: {where}",
        table(header, shortened(cells, "reference.csv of the evaluation")),
        "difference: AUROC against the reference - AUROC against the labels; kappa: labels against the reference",
    ]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _with_interval(row: Row, name: str) -> list[str]:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    value = "-" if row[name] is None else f"{row[name]:+.3f}"
    return [value, "-" if low is None or high is None else f"{low:+.3f} {high:+.3f}"]
