"""Finds out whether scores are probabilities or logits, and converts them to logits."""

from typing import Literal

import numpy as np

from cxrlt_cli.errors import UserError
from cxrlt_cli.import_scores.score_table import ScoreTable
from cxrlt_cli.metrics.calibration import keeping_order

Kind = Literal["probabilities", "logits"]

_FEW = 20  # numbers: fewer may lie within 0 ... 1 by chance
_TWICE = (0.5, 0.7311)  # sigmoid(0) and sigmoid(1): the range after a second sigmoid
_LARGEST = 1e30  # float32 can hold it, and no network gives such a logit
_LEAST = 2.0**-53  # 1 - p of the largest float64 p below 1


def kind_of_scores(values: np.ndarray) -> Kind:
    """The kind of scores, if their range is unambiguous.

    Logits of rare findings are mostly negative. Twenty or more numbers that all lie within 0 ... 1 are therefore taken as
    probabilities: as logits they would mean that every image has every finding with a probability of 0.5 or more. Numbers on
    both sides of 0 that go beyond 1 or below -1 are logits.

    Args:
        values: (N, C) finite.

    Raises:
        UserError: the range fits both kinds, or neither.
    """
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        if values.size < _FEW:
            raise _unclear(low, high, f"{values.size} scores are too few to distinguish probabilities from logits")
        if _TWICE[0] <= low < high <= _TWICE[1]:
            raise _unclear(low, high, "probabilities to which a sigmoid was applied a second time look like this")
        return "probabilities"
    if low < -1 or (low < -0.01 and high > 1.01):
        return "logits"
    if low >= 0:
        raise _unclear(low, high, "they may be percent, counts or logits")
    what = "probabilities with rounding errors" if high > 0.5 and low > -0.01 else "similarities or logits"
    raise _unclear(low, high, f"they may be {what}")


def _unclear(low: float, high: float, why: str) -> UserError:
    return UserError(f"the scores lie within {low:g} … {high:g}: {why}", "say what they are: --kind probabilities or logits")


def logits_of(values: np.ndarray, kind: Kind, scores: ScoreTable, classes: list[str]) -> np.ndarray:
    """(N, C) float32 logits that rank the images of each class exactly as the scores did, so that AP and AUROC do not change.

    A probability of 0 or 1 gets a logit just beyond that of the nearest probability that float64 distinguishes from it, or
    that the class has.

    Args:
        values: (N, C) finite scores.
        kind: what they are.
        scores: their file, for messages.
        classes: names of the columns.

    Raises:
        UserError: a probability outside 0 ... 1, or a logit beyond what float32 holds.
    """
    probable = kind == "probabilities"
    wrong = (values < 0) | (values > 1) if probable else np.abs(values) > _LARGEST
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        where = f"the first: {values[row, column]:g}, {scores.ids.iloc[row]}, {classes[column]}"
        what = "outside 0 … 1" if probable else "no finite logits"
        hint = "no probabilities: --kind logits, or divide percent by 100" if probable else "see how they were written"
        raise UserError(f"{scores.path}: {int(wrong.sum())} of {values.size} scores are {what} ({where})", hint)
    return np.stack([keeping_order(_logits(column) if probable else column, column) for column in values.T], axis=1)


def _logits(p: np.ndarray) -> np.ndarray:
    """(N,) log(p / (1 - p)); finite at 0 and 1."""
    positive = p[p > 0]
    floor = max(min(float(positive.min(initial=1.0)), _LEAST) / 2, np.nextafter(0, 1))
    logits = np.log(np.maximum(p, floor)) - np.log1p(-np.minimum(p, 1 - _LEAST))
    found: np.ndarray = np.where(p == 1, -np.log(_LEAST / 2), logits)
    return found
