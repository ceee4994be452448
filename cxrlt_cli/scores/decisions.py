"""Decisions at thresholds: who is called positive, and how often that is right, with intervals."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrlt_cli.metrics.calibration import sigmoid
from cxrlt_cli.metrics.proportions import f1_proportion, proportion
from cxrlt_cli.metrics.thresholds import at_specificity, best_f1
from cxrlt_cli.scores.labelled import Scored

Row = dict[str, Any]
RATIOS = ("sensitivity", "specificity", "ppv", "npv", "f1")


@dataclass(frozen=True)
class Thresholds:
    """(C,) logits at or above which an image is called positive: for the best F1, and for a wanted specificity."""

    f1: np.ndarray
    specificity: np.ndarray


def choose_thresholds(scored: Scored, specificity: float) -> Thresholds:
    """Thresholds chosen on some predictions; infinite, which calls nothing positive, where a class has no positive."""
    columns = range(len(scored.classes))
    label_mask = [scored.label_mask[:, c] for c in columns]
    scores = [scored.logits[rows, c] for c, rows in zip(columns, label_mask, strict=True)]
    targets = [scored.targets[rows, c] for c, rows in zip(columns, label_mask, strict=True)]
    pairs = list(zip(scores, targets, strict=True))
    chosen = np.array([[best_f1(*pair) for pair in pairs], [at_specificity(*pair, specificity) for pair in pairs]])
    chosen[np.isnan(chosen)] = np.inf
    return Thresholds(*chosen)


def decision_rows(scored: Scored, thresholds: Thresholds) -> list[Row]:
    """A row for each class and rule (`f1`, `specificity`), in the order of the classes.

    A row has `class`, `rule`, `threshold` (a probability, NaN where nothing is called positive), the counts
    `true_positives`, `false_positives`, `false_negatives` and `true_negatives` of images, and each of `RATIOS` with `_low`
    and `_high`, NaN where undefined.
    """
    patients = scored.patients
    rows = []
    for c, name in enumerate(scored.classes):
        known = scored.label_mask[:, c]
        logits, positive = scored.logits[known, c], scored.targets[known, c] == 1
        for rule in ("f1", "specificity"):
            threshold = getattr(thresholds, rule)[c]
            shown = float(sigmoid(threshold)) if np.isfinite(threshold) else float("nan")
            decisions = _decisions(logits >= threshold, positive, patients[known])
            rows.append({"class": name, "rule": rule, "threshold": shown, **decisions})
    return rows


def _decisions(called: np.ndarray, positive: np.ndarray, patients: np.ndarray) -> Row:
    """Counts and ratios of one class, from (N,) bool and (N,) int."""
    counts = {
        "true_positives": called & positive,
        "false_positives": called & ~positive,
        "false_negatives": ~called & positive,
        "true_negatives": ~called & ~positive,
    }
    ratios = {
        "sensitivity": proportion(called, positive, patients),
        "specificity": proportion(~called, ~positive, patients),
        "ppv": proportion(positive, called, patients),
        "npv": proportion(~positive, ~called, patients),
        "f1": f1_proportion(called, positive, patients),
    }
    row: Row = {name: int(images.sum()) for name, images in counts.items()}
    for name, found in ratios.items():
        row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return row
