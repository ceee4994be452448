"""The hierarchy of findings: a positive finding implies the findings that it is a kind of."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from cxrlt_cli.labels.spaces import canonical


@dataclass(frozen=True)
class Implied:
    """Number of labels of `parent` set to 1 because of `child`, from 0 and from unknown."""

    child: str
    parent: str
    from_absent: int
    from_unknown: int


def imply_parents(
    positive: np.ndarray, label_mask: np.ndarray, classes: list[str]
) -> tuple[np.ndarray, np.ndarray, list[Implied]]:
    """Sets all ancestors of a positive finding to positive; a negative finding implies nothing.

    Args:
        positive: (N, C) bool.
        label_mask: (N, C) bool.
        classes: (C,) names. A missing class in between does not matter: a grandchild implies its grandparent.

    Returns:
        positive and label mask (N, C), and the changes by each child, in the order of the classes.
    """
    positive, label_mask = positive.copy(), label_mask.copy()
    position = {canonical(name): index for index, name in enumerate(classes)}
    implied = []
    for child, index in position.items():
        rows = positive[:, index].copy()
        for parent in sorted(ancestors().get(child, frozenset()) & position.keys()):
            other = position[parent]
            changed = rows & ~positive[:, other]
            if changed.any():
                absent = int((changed & label_mask[:, other]).sum())
                implied.append(Implied(classes[index], classes[other], absent, int(changed.sum()) - absent))
            positive[:, other] |= changed
            label_mask[:, other] |= changed
    return positive, label_mask, implied


@cache
def ancestors() -> dict[str, frozenset[str]]:
    """Canonical name -> canonical names of all its ancestors.

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
