"""Co-occurrence of labels: in a dataset, and in labels and predictions on one scale."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.figure_file import figure_text, save_figure
from cxrlt_cli.scores.labelled import Scored

_LEAST_IMAGES = 10


def cooccurrence_counts(positive: np.ndarray) -> np.ndarray:
    """(C, C) int64 number of images on which both labels are positive, from (N, C) bool; the diagonal counts each label."""
    rows = positive.astype(np.float32)  # exact up to 2^24 images
    return np.asarray(np.rint(rows.T @ rows).astype(np.int64))


def strongest_pairs(counts: np.ndarray, images: int, classes: list[str], most: int = 10) -> list[dict[str, Any]]:
    """The pairs with the highest P(b | a), on at least ten images, and their lift P(b | a) / P(b).

    Only pairs above chance (lift > 1) are returned.

    Args:
        counts: (C, C) of `cooccurrence_counts`.
        images: number of images counted.
        classes: (C,) names.
        most: maximum number of pairs.
    """
    own = np.maximum(np.diag(counts), 1)
    fraction = counts / own[:, None]
    lift = fraction * images / own[None, :]
    eligible = (counts >= _LEAST_IMAGES) & ~np.eye(len(classes), dtype=bool) & (lift > 1)
    order = np.argsort(-fraction, axis=None, kind="stable")
    order = order[eligible.ravel()[order]][:most]
    return [
        {
            "given": classes[a],
            "also": classes[b],
            "images": int(counts[a, b]),
            "share": float(fraction[a, b]),
            "lift": float(lift[a, b]),
        }
        for a, b in zip(*np.unravel_index(order, counts.shape), strict=True)
    ]


def draw_cooccurrence(counts: np.ndarray, classes: list[str], paths: list[Path]) -> None:
    """Draws P(column | row), rows and columns by frequency, with the count of each label.

    Args:
        counts: (C, C) of `cooccurrence_counts`.
        classes: (C,) names.
        paths: the files, each in the format of its suffix, .png or .svg.

    Raises:
        UserError: a file cannot be written.
    """
    from matplotlib.figure import Figure

    classes = [figure_text(name) for name in classes]
    order = np.argsort(-np.diag(counts), kind="stable")
    own = np.diag(counts)[order]
    fraction = counts[np.ix_(order, order)] / np.maximum(own, 1)[:, None]
    shown = np.where(np.eye(len(order), dtype=bool) | (own == 0)[:, None], np.nan, fraction)
    side = 3.5 + 0.27 * len(order)
    figure = Figure(figsize=(side + 1.2, side), layout="constrained")
    axes = figure.add_subplot()
    largest = max(float(np.nanmax(shown, initial=0.0)), 0.01)
    image = axes.imshow(shown, cmap="cividis", vmin=0, vmax=largest)
    axes.set_xticks(range(len(order)), [classes[c] for c in order], rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(order)), [f"{classes[c]}  {count:,}" for c, count in zip(order, own, strict=True)])
    axes.tick_params(labelsize=8, length=0)
    axes.set_title("P(label of the column | label of the row), fraction of images", fontsize=10)
    for (row, column), value in np.ndenumerate(shown):
        if value >= 0.1:  # numbers for the large values only; colours show the others
            dark = value < 0.55 * largest
            axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=6, color="w" if dark else "k")
    figure.colorbar(image, ax=axes, shrink=0.6, label="fraction (numbers: percent, from 10)")
    for path in paths:
        save_figure(figure, path, path.suffix[1:])


_LEVELS = 8  # shades of a cell


@dataclass(frozen=True)
class Cooccurrence:
    """(C, C) counts of images that have both labels; the diagonal counts each label."""

    labels: np.ndarray
    predicted: np.ndarray


def cooccurrence(scored: Scored) -> Cooccurrence:
    """Co-occurrence of labels and of predictions, over the images where a label is known.

    A class counts as predicted on as many of its known images as are positive, those with the highest scores. So labels and
    predictions have the same frequencies and only the combinations differ. Ties are resolved in the order of the images.
    """
    labels = scored.label_mask & (scored.targets == 1)
    predicted = np.zeros_like(labels)
    for c in range(len(scored.classes)):
        rows = np.flatnonzero(scored.label_mask[:, c])
        order = np.argsort(-scored.logits[rows, c], kind="stable")
        predicted[rows[order[: int(labels[:, c].sum())]], c] = True
    return Cooccurrence(cooccurrence_counts(labels), cooccurrence_counts(predicted))


def cells(counts: np.ndarray, classes: list[str], order: list[int], largest: float) -> list[dict[str, Any]]:
    """The rows of a table: P(label of the column | label of the row), with its shade.

    Args:
        counts: (C, C).
        classes: (C,) names.
        order: rows and columns, the most frequent first.
        largest: the fraction of the darkest shade.
    """
    rows = []
    for a in order:
        own = int(counts[a, a])
        fractions = [None if a == b or not own else float(counts[a, b] / own) for b in order]
        shades = [
            0 if fraction is None else min(_LEVELS, int(np.ceil(_LEVELS * fraction / largest - 1e-9))) for fraction in fractions
        ]
        rows.append({"name": classes[a], "count": own, "cells": list(zip(fractions, shades, strict=True))})
    return rows


def largest_fraction(counts: np.ndarray) -> float:
    """The largest fraction off the diagonal, at least 0.05."""
    own = np.maximum(np.diag(counts), 1)
    fraction = counts / own[:, None]
    np.fill_diagonal(fraction, 0)
    return max(float(fraction.max(initial=0)), 0.05)
