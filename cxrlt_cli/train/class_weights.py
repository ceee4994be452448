"""The class weights of `--reweight`."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from cxrlt_cli.artifacts.csv_rows import CsvRow, csv_rows
from cxrlt_cli.config.train_grammar import REWEIGHT_HINT, Term
from cxrlt_cli.errors import UserError, listed, nearest
from cxrlt_cli.labels.groups import assign
from cxrlt_cli.labels.spaces import canonical
from cxrlt_cli.tricks.class_weights import effective_number, inverse_sqrt


def class_weights(
    terms: Sequence[Term], classes: list[str], positives: np.ndarray, label_counts: np.ndarray, hard_ap: dict[str, float]
) -> np.ndarray:
    """The product of all terms.

    Args:
        terms: of `--reweight`.
        classes: names.
        positives: (C,) training positives.
        label_counts: (C,) training images whose label is known.
        hard_ap: class -> AP on a development set, for `hardK:F`, without classes of undefined AP.

    Returns:
        (C,) float64; 1 for classes that no term changes.

    Raises:
        UserError: an unknown class, a file that cannot be read, or a product that is not finite or 0 for all.
    """
    with np.errstate(over="ignore"):
        weights = _product(terms, classes, positives, label_counts, hard_ap)
    if not np.isfinite(weights).all() or not weights.any():
        what = "is 0 for every class" if not weights.any() else "is not finite"
        raise UserError(f"--reweight: the product of its terms {what}", REWEIGHT_HINT)
    return weights


def _product(
    terms: Sequence[Term], classes: list[str], positives: np.ndarray, label_counts: np.ndarray, hard_ap: dict[str, float]
) -> np.ndarray:
    weights = np.ones(len(classes))
    for term in terms:
        if term.kind == "hard":
            weights[[classes.index(name) for name in hardest(term.count, classes, hard_ap)]] *= term.value
        elif term.kind == "group":
            groups = assign(positives / np.maximum(label_counts, 1))
            weights[[group == term.name for group in groups]] *= term.value
        elif term.kind == "class":
            weights[_index(term.name, classes)] *= term.value
        elif term.kind == "file":
            for name, value in _file(Path(term.name)).items():
                weights[_index(name, classes)] *= value
        else:
            counts = torch.from_numpy(positives)
            found = inverse_sqrt(counts) if term.kind == "inverse-sqrt" else effective_number(counts, term.value)
            weights *= found.numpy()
    return weights


def hardest(count: int, classes: list[str], ap: dict[str, float]) -> list[str]:
    """The `count` classes with the lowest AP; ties in the order of the classes.

    Raises:
        UserError: fewer classes than that have an AP.
    """
    scored = [name for name in classes if name in ap]
    if len(scored) < count:
        raise UserError(
            f"--reweight hard{count}: only {len(scored)} of {len(classes)} classes have an AP there (none without a positive)",
            f"take hard{len(scored)} at most, or name classes: {REWEIGHT_HINT}",
        )
    return sorted(scored, key=lambda name: ap[name])[:count]


def _index(name: str, classes: list[str]) -> int:
    meanings = [canonical(each) for each in classes]
    if canonical(name) not in meanings:
        raise UserError(
            f"--reweight: the dataset has no class {name!r}{nearest(name, classes)}", f"its classes: {listed(classes, 40)}"
        )
    return meanings.index(canonical(name))


def _file(path: Path) -> dict[str, float]:
    hint = "a CSV with the columns class,weight; a class that it does not list has weight 1"
    rows = csv_rows(path, hint)
    header = next(rows, CsvRow([], 0, 0)).cells
    if not {"class", "weight"} <= set(header):
        raise UserError(f"{path} has no columns class and weight", hint)
    given = [(row.cells[header.index("class")], row.cells[header.index("weight")]) for row in rows]
    try:
        weights = {name: float(value) for name, value in given}
    except ValueError as error:
        raise UserError(f"{path} cannot be read as class weights: {error}", hint) from error
    wrong = [name for name, value in weights.items() if not math.isfinite(value) or value < 0]
    if wrong or len(weights) != len(given):
        raise UserError(f"{path}: negative, not finite or listed twice: {listed(wrong or [name for name, _ in given])}", hint)
    return weights
