"""Head, medium and tail: classes grouped by their prevalence among the known training labels."""

from typing import Literal

import numpy as np

#: `unseen`: no training label names the class (`merge --hold-out`).
Group = Literal["head", "medium", "tail", "unseen"]
GROUPS: tuple[Group, Group, Group] = ("head", "medium", "tail")

#: Prevalence above which a class is head, and above which it is medium. Papers use different bounds: print the `rule`.
BOUNDS = (0.10, 0.01)


def assign(train_prevalence: np.ndarray, bounds: tuple[float, float] = BOUNDS) -> list[Group]:
    """The group of each class; a class without a training positive is tail.

    Args:
        train_prevalence: (C,) fraction of positives among the known training labels, 0 … 1 (0 without known labels).
        bounds: high and low: head above high, medium above low, else tail.

    Raises:
        ValueError: a prevalence outside 0 … 1, or bounds that are not 0 <= low < high < 1.
    """
    high, low = _checked(bounds)
    if not ((train_prevalence >= 0) & (train_prevalence <= 1)).all():
        raise ValueError(f"prevalences lie within 0 … 1: {train_prevalence}")
    return ["head" if value > high else "medium" if value > low else "tail" for value in train_prevalence.tolist()]


def rule(bounds: tuple[float, float] = BOUNDS) -> str:
    """The rule of `assign` with these bounds, as text.

    Raises:
        ValueError: bounds that are not 0 <= low < high < 1.
    """
    high, low = (f"{100 * bound:g}%" for bound in _checked(bounds))
    return f"head > {high}, medium > {low}, tail <= {low} of the known training labels positive"


def _checked(bounds: tuple[float, float]) -> tuple[float, float]:
    high, low = bounds
    if not 0 <= low < high < 1:
        raise ValueError(f"bounds are high and low with 0 <= low < high < 1, not {bounds}")
    return high, low
