"""A finding that is a kind of another implies it."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from cxrlt_cli.labels.spaces import canonical


@dataclass(frozen=True)
class Implied:
    """How many labels of `parent` became 1 because of `child`: from 0 and from unknown."""

    child: str
    parent: str
    from_absent: int
    from_unknown: int


def imply_parents(
    positive: np.ndarray, label_mask: np.ndarray, classes: list[str]
) -> tuple[np.ndarray, np.ndarray, list[Implied]]:
    """Makes every finding positive that a positive one is a kind of; an absent finding implies nothing.

    Args:
        positive: (N, C) bool.
        label_mask: (N, C) bool.
        classes: (C,) names. A middle class that is not among them does not interrupt: a grandchild implies its grandparent.

    Returns:
        positive and known (N, C), and what each child changed, in the order of the classes.
    """
    positive, label_mask = positive.copy(), label_mask.copy()
    place = {canonical(name): index for index, name in enumerate(classes)}
    implied = []
    for child, index in place.items():
        rows = positive[:, index].copy()
        for parent in sorted(ancestors().get(child, frozenset()) & place.keys()):
            other = place[parent]
            changed = rows & ~positive[:, other]
            if changed.any():
                absent = int((changed & label_mask[:, other]).sum())
                implied.append(Implied(classes[index], classes[other], absent, int(changed.sum()) - absent))
            positive[:, other] |= changed
            label_mask[:, other] |= changed
    return positive, label_mask, implied


@cache
def ancestors() -> dict[str, frozenset[str]]:
    """Canonical name -> canonical names of all findings that it is a kind of.

    Raises:
        ValueError: the data has a cycle.
    """
    text = (Path(__file__).parent / "hierarchy.toml").read_text(encoding="utf-8")
    parents = {canonical(child): [canonical(name) for name in names] for child, names in tomllib.loads(text).items()}

    def above(name: str, below: tuple[str, ...]) -> frozenset[str]:
        if name in below:
            raise ValueError(f"{name} is a kind of itself: {' > '.join(below)}")
        direct = parents.get(name, [])
        return frozenset(direct).union(*(above(parent, (*below, name)) for parent in direct))

    return {child: above(child, ()) for child in parents}
