"""Readers and expert labels in an evaluation: reads their tables, and makes the rows of `readers.csv` and `reference.csv`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.evaluation import ReaderStudy, ReferenceGap
from cxrlt_cli.console import say, warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.metrics.curves import precision_recall, roc
from cxrlt_cli.metrics.ranking import per_class
from cxrlt_cli.readers.label_table import HumanLabels, Uncertain, read_human_labels
from cxrlt_cli.readers.reference import (
    Reference,
    labels_as_reference,
    leave_one_out_reference,
    majority,
    majority_as_reference,
    table_as_reference,
)
from cxrlt_cli.scores.labelled import Scored

Row = dict[str, Any]


@dataclass(frozen=True)
class Experts:
    """Readers and reference of the images of an evaluation.

    Attributes:
        readers: None where only a reference was given.
        reference: what is counted as right.
        others: whether the reference is one set of labels other than those of the dataset.
        inputs: the files read.
    """

    readers: HumanLabels | None
    reference: Reference
    others: bool
    inputs: list[Path]


def read_experts(
    scored: Scored, readers: Path | None, reference: tuple[str, list[str]], columns: tuple[str, str], uncertain: Uncertain
) -> Experts:
    """Reads the tables of `--readers` and `--reference`.

    Args:
        scored: the images and classes of the evaluation.
        readers: the readers' table; None for none.
        reference: its kind (labels, table, majority or leave-one-out), with the path or the readers' names.
        columns: names of the columns of the image and of the reader; empty for the usual names.
        uncertain: how uncertain labels are counted.

    Raises:
        UserError: damaged tables, or no image that has both a reader and a reference.
    """
    kind, given = reference
    reads = read_human_labels(readers, scored, columns, uncertain, readers=True) if readers else None
    inputs = [readers] if readers else []
    if kind == "table":
        inputs.append(Path(given[0]))
        found = table_as_reference(read_human_labels(inputs[-1], scored, (columns[0], ""), uncertain, readers=False), reads)
    elif reads is None:
        raise UserError(f"--reference {kind} needs --readers", "the reference is made from readers")
    elif kind == "majority":
        found = majority_as_reference(reads, given)
    else:
        found = leave_one_out_reference(reads) if kind == "leave-one-out" else labels_as_reference(scored, reads)
    if reads is not None:
        _check_reads(reads, found)
    return Experts(reads, found, kind in ("table", "majority"), inputs)


def _check_reads(reads: HumanLabels, reference: Reference) -> None:
    """Refuses readers that have no image in common with the reference; warns if readers read different images."""
    count = [int((known & reference.of(r)[1]).any(axis=1).sum()) for r, known in enumerate(reads.known)]
    if not any(count):
        raise UserError(
            f"no image of {reads.path} has a reference ({reference.name})", "see the ids and classes of both, or --reference"
        )
    if len(set(count)) > 1:
        least, most = int(np.argmin(count)), int(np.argmax(count))
        warn(
            f"{reads.path}: readers read different images, {count[least]:,} ({reads.names[least]}) to {count[most]:,} "
            f"({reads.names[most]}): each is compared on its own; their mean assumes that all read the same"
        )
    part = [name for name, one in zip(reads.names, reference.in_reference, strict=True) if one]
    if part:
        say(f"readers that are part of the reference: {listed(part, 40)}; their metrics are optimistic, not in the means")


def study_content(experts: Experts, scored: Scored, resamples: int, seed: int) -> tuple[ReaderStudy, list[Row]]:
    """The readers of an evaluation, and the rows of `readers.csv`."""
    from cxrlt_cli.readers.contenders import compare_contenders, contenders
    from cxrlt_cli.readers.rows import reader_rows

    readers, reference = experts.readers, experts.reference
    assert readers is not None
    known = reference.known if reference.known.ndim == 2 else reference.known.any(axis=0)
    keep: np.ndarray = np.any(readers.known.any(axis=0) & known, axis=1)
    scored = scored.rows(keep)
    readers = replace(readers, positive=readers.positive[:, keep], known=readers.known[:, keep])
    reference = replace(reference, positive=reference.positive[..., keep, :], known=reference.known[..., keep, :])
    rows = reader_rows(scored.classes, compare_contenders(scored, contenders(readers, reference), resamples, seed))
    study = ReaderStudy(
        file=str(readers.path),
        reference=reference.name,
        readers=readers.names,
        in_reference=[name for name, part in zip(readers.names, reference.in_reference, strict=True) if part],
        images=len(scored.table),
        patients=int(scored.table["patient_id"].nunique()),
        network_ahead=_ahead(rows, readers.names),
        curves=_curves(scored, readers, reference),
    )
    return study, rows


def _ahead(rows: list[Row], readers: list[str]) -> dict[str, int]:
    """How often the network has a higher sensitivity at a reader's specificity, over the readers outside of the reference."""
    single = [row for row in rows if row["class"] and row["reader"] in readers and not np.isnan(row["sensitivity_difference"])]
    compared = [row for row in single if not row["in_reference"]] or single
    significant = [row for row in compared if row["p_holm"] <= 0.05]
    return {
        "compared": len(compared),
        "ahead": sum(row["sensitivity_difference"] > 0 for row in compared),
        "significantly_ahead": sum(row["sensitivity_difference"] > 0 for row in significant),
        "significantly_behind": sum(row["sensitivity_difference"] < 0 for row in significant),
    }


_MAX_POINTS = 400  # of a curve


def _curves(scored: Scored, readers: HumanLabels, reference: Reference) -> list[Row]:
    """The network's curves against the reference, of each class that has a positive and a negative.

    With leave-one-out, where each reader has its own reference, the majority of all readers is used.
    """
    positive, known = reference.positive, reference.known
    if positive.ndim == 3:
        positive, known = majority(readers.positive, readers.known)
    metrics = per_class(scored.logits, positive.astype(np.uint8), known)
    curves = []
    for c in np.flatnonzero(~np.isnan(metrics.auroc)).tolist():
        given = scored.logits[known[:, c], c], positive[known[:, c], c]
        row: Row = {"class": scored.classes[c], "ap": float(metrics.ap[c]), "auroc": float(metrics.auroc[c])}
        row |= {"positives": int(metrics.positives[c]), "images": int(known[:, c].sum())}
        recall, precision = precision_recall(*given)
        grows = np.diff(recall, prepend=0.0) > 0  # where recall does not grow, precision only falls until the next positive
        curves.append(row | {"roc": _points(*roc(*given)), "pr": _points(recall[grows], precision[grows])})
    return curves


def _points(x: np.ndarray, y: np.ndarray) -> list[list[float]]:
    """Lists of x and y; of a long curve, evenly spaced points."""
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MAX_POINTS)).round().astype(int))
    return [np.round(one[keep], 5).tolist() for one in (x, y)]


def gap_content(experts: Experts, scored: Scored, resamples: int, seed: int) -> tuple[ReferenceGap, list[Row]]:
    """The reference of an evaluation, and the rows of `reference.csv`.

    Raises:
        UserError: no image has both labels.
    """
    from cxrlt_cli.readers.gap import gap_rows

    both = scored.label_mask & experts.reference.known
    keep: np.ndarray = both.any(axis=1)
    if not keep.any():
        raise UserError(f"no image has a label of the dataset and one of {experts.reference.name}", "see the ids of both")
    reference = replace(experts.reference, positive=experts.reference.positive[keep], known=experts.reference.known[keep])
    scored = scored.rows(keep)
    gap = ReferenceGap(reference.name, len(scored.table), int(scored.table["patient_id"].nunique()))
    return gap, gap_rows(scored, reference, resamples, seed)
