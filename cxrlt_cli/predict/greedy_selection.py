"""Greedy selection of an ensemble with replacement (Caruana, Niculescu-Mizil, Crew, Ksikes; ICML 2004)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cxrlt_cli.predict.merge import merge_logits


@dataclass(frozen=True)
class Selection:
    """What was chosen.

    Attributes:
        weights: (V,) how often each member was taken, summing to 1.
        steps: (member, value of the ensemble with it) in the order of addition, up to the best ensemble and no further.
    """

    weights: np.ndarray
    steps: list[tuple[int, float]]


def select_greedily(logits: np.ndarray, how: str, evaluate: Callable[[np.ndarray], float], rounds: int) -> Selection:
    """Begins with the best member, and adds again and again the one with which the ensemble is best, also if it is in already.

    Of the ensembles on the way the best is returned, the smallest of equals. Between members of equal gain the first is taken.

    Args:
        logits: (V, N, C) of V members, for images that none of them has learned from.
        how: the merge: see `merge_logits`.
        evaluate: merged (N, C) logits -> how good they are, more being better.
        rounds: additions, at least 1.
    """
    steps: list[tuple[int, float]] = []
    merged = np.zeros(logits.shape[1:])  # the empty ensemble has no weight, whatever its scores
    for size in range(rounds):
        weights = np.array([size, 1.0])
        candidates = (merge_logits(np.stack([merged, member]), how, weights) for member in logits)
        values = [evaluate(candidate) for candidate in candidates]
        best = int(np.argmax(values))
        merged = merge_logits(np.stack([merged, logits[best]]), how, weights)
        steps.append((best, values[best]))
    steps = steps[: 1 + int(np.argmax([value for _, value in steps]))]
    counts = np.bincount([member for member, _ in steps], minlength=len(logits))
    return Selection(counts / len(steps), steps)
