"""Which labels come together, in truth and in predictions, on one scale."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrlt_cli.report.cooccurrence import counts_together
from cxrlt_cli.scores.labelled import Scored

_LEVELS = 8  # shades of a cell


@dataclass(frozen=True)
class Together:
    """(C, C) counts of images that have both labels, the diagonal counting each."""

    truth: np.ndarray
    predicted: np.ndarray


def together(scored: Scored) -> Together:
    """Counts of labels and of predictions, over the images where a label is known.

    Each class is predicted on as many of its known images as have it, those of the highest scores: then truth and predictions
    have the same frequencies, and only the company differs. Equal scores enter in the images' order.
    """
    truth = scored.known & (scored.targets == 1)
    predicted = np.zeros_like(truth)
    for c in range(len(scored.classes)):
        rows = np.flatnonzero(scored.known[:, c])
        order = np.argsort(-scored.logits[rows, c], kind="stable")
        predicted[rows[order[: int(truth[:, c].sum())]], c] = True
    return Together(counts_together(truth), counts_together(predicted))


def cells(counts: np.ndarray, classes: list[str], order: list[int], largest: float) -> list[dict[str, Any]]:
    """The rows of a table: of the images with the row's label, the share that has the column's, with its shade.

    Args:
        counts: (C, C).
        classes: (C,) names.
        order: rows and columns, the most frequent first.
        largest: the share of the darkest shade.
    """
    rows = []
    for a in order:
        own = int(counts[a, a])
        shares = [None if a == b or not own else float(counts[a, b] / own) for b in order]
        shades = [0 if share is None else min(_LEVELS, int(np.ceil(_LEVELS * share / largest - 1e-9))) for share in shares]
        rows.append({"name": classes[a], "count": own, "cells": list(zip(shares, shades, strict=True))})
    return rows


def largest_share(counts: np.ndarray) -> float:
    """The largest share off the diagonal, at least 0.05."""
    own = np.maximum(np.diag(counts), 1)
    share = counts / own[:, None]
    np.fill_diagonal(share, 0)
    return max(float(share.max(initial=0)), 0.05)
