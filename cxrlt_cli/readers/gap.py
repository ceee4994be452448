"""Compares the same scores with the labels of the dataset and with a reference, such as expert labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrlt_cli.metrics.bootstrap import resample
from cxrlt_cli.metrics.intervals import MIN_POSITIVE_PATIENTS, std_of_defined
from cxrlt_cli.metrics.ranking import means_of_defined
from cxrlt_cli.metrics.ranking_intervals import ClassEstimates, estimate
from cxrlt_cli.readers.reader_points import FIGURES, reader_points
from cxrlt_cli.readers.reference import Reference
from cxrlt_cli.scores.labelled import Scored

Row = dict[str, Any]
_METRICS = ("ap", "auroc")
_NAN = float("nan")


@dataclass(frozen=True)
class _Side:
    """AP and AUROC against one of the two kinds of labels, and (C,) patients with a positive."""

    metrics: dict[str, ClassEstimates]
    patients: np.ndarray


def gap_rows(scored: Scored, reference: Reference, resamples: int, seed: int) -> list[Row]:
    """A row for the mean over classes (`class` is empty) and for each class that the reference has.

    Each is over the images that have both labels. A row has `class`, `images`, `labels_positives`, `reference_positives`; for
    ap and auroc `…_labels` and `…_reference` with intervals, and `…_difference` (reference - labels) with its interval from the
    same resamples of the patients; and how the labels agree with the reference: `labels_sensitivity`, `labels_specificity`,
    `labels_ppv`, `labels_kappa`.

    Args:
        scored: N images and C classes, with the labels of the dataset.
        reference: the other labels, (N, C).
        resamples: of the patients.
        seed: of the resamples.
    """
    both = scored.label_mask & reference.known
    columns = np.flatnonzero(both.any(axis=0))
    if not len(columns):
        return []
    mask, logits = both[:, columns], scored.logits[:, columns]
    labels, truth = scored.targets[:, columns] == 1, reference.positive[:, columns]
    sides = [_side(logits, targets, mask, scored.patients, resamples, seed) for targets in (labels, truth)]
    values = np.array([side.metrics[name].value for side in sides for name in _METRICS])
    defined: np.ndarray = ~np.isnan(values).any(axis=0)
    rows = [_mean_row(sides, defined)] if defined.any() else []
    for c, column in enumerate(columns):
        known = mask[:, c]
        row: Row = {"class": scored.classes[column], "images": int(known.sum())}
        row |= {"labels_positives": int(labels[known, c].sum()), "reference_positives": int(truth[known, c].sum())}
        row |= _scores_of(sides, c)
        rows.append(row | _agreement(logits[known, c], truth[known, c], labels[known, c], scored.patients[known]))
    return rows


def _side(logits: np.ndarray, targets: np.ndarray, mask: np.ndarray, patients: np.ndarray, resamples: int, seed: int) -> _Side:
    given = targets.astype(np.uint8), mask, patients
    _, ap, auroc = estimate(logits, *given, resample(logits[None], *given, resamples, seed))
    count = [len(np.unique(patients[rows])) for rows in (mask & targets).T]
    return _Side({"ap": ap, "auroc": auroc}, np.array(count))


def _scores_of(sides: list[_Side], c: int) -> Row:
    row: Row = {}
    fewest = min(int(side.patients[c]) for side in sides)
    for name in _METRICS:
        for side, kind in zip(sides, ("labels", "reference"), strict=True):
            metric = side.metrics[name]
            row |= _figure(f"{name}_{kind}", float(metric.value[c]), *metric.interval[:, c])
        values, drawn = zip(*((side.metrics[name].value[c], side.metrics[name].resampled[:, c]) for side in sides), strict=True)
        row |= _difference(f"{name}_difference", float(values[1] - values[0]), drawn[1] - drawn[0], fewest)
    return row


def _mean_row(sides: list[_Side], defined: np.ndarray) -> Row:
    """Means over the classes whose metrics are defined against both."""
    row: Row = {"class": "", "images": _NAN, "labels_positives": _NAN, "reference_positives": _NAN}
    fewest = min(int(side.patients[defined].max()) for side in sides)
    for name in _METRICS:
        for side, kind in zip(sides, ("labels", "reference"), strict=True):
            mean = side.metrics[name].mean(defined)
            row |= _figure(f"{name}_{kind}", float(mean.value), *mean.interval)
        drawn = [means_of_defined(side.metrics[name].resampled[:, defined]) for side in sides]
        value = row[f"{name}_reference"] - row[f"{name}_labels"]
        row |= _difference(f"{name}_difference", value, drawn[1] - drawn[0], fewest)
    return row | dict.fromkeys(_AGREEMENT, _NAN)


def _difference(name: str, value: float, drawn: np.ndarray, patients: int) -> Row:
    """Value -+ Student's t times the standard deviation over resamples; no bounds with few patients with a positive."""
    from scipy.special import stdtrit

    half = _NAN
    if patients >= MIN_POSITIVE_PATIENTS and len(drawn) > 1:
        half = float(stdtrit(patients - 1, 0.975) * std_of_defined(drawn))
    return _figure(name, value, max(value - half, -1.0), min(value + half, 1.0))


def _figure(name: str, value: float, low: float, high: float) -> Row:
    return {name: value, f"{name}_low": float(low), f"{name}_high": float(high)}


_AGREEMENT = tuple(f"labels_{name}" for name in FIGURES[:4])


def _agreement(scores: np.ndarray, truth: np.ndarray, labels: np.ndarray, patients: np.ndarray) -> Row:
    """How the labels of the dataset agree with the reference, as if they were a reader."""
    found = reader_points(scores, truth, labels, patients).figures(np.ones((patients.max() + 1, 1)))[0]
    return dict(zip(_AGREEMENT, found[:4].tolist(), strict=True))
