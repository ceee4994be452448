"""Greedy selection of an ensemble with replacement (Caruana, Niculescu-Mizil, Crew, Ksikes; ICML 2004)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cxrlt_cli.predict.merge import merge_logits


@dataclass(frozen=True)
class Selection:
    """The selected members.

    Attributes:
        weights: (V,) how often each member was added, divided by the number of additions.
        steps: (member, value of the ensemble with it) in the order of addition, up to the best ensemble.
    """

    weights: np.ndarray
    steps: list[tuple[int, float]]


def select_greedily(logits: np.ndarray, how: str, evaluate: Callable[[np.ndarray], float], rounds: int) -> Selection:
    """Starts with the best member, and repeatedly adds the member that gives the best ensemble; members can be added again.

    Returns the best ensemble of all rounds; of equally good ones, the smallest. Of equally good members the first is added.

    Args:
        logits: (V, N, C) of V members, for images that none of them was trained on.
        how: of merging, see `merge_logits`.
        evaluate: merged (N, C) logits -> a metric; higher is better.
        rounds: number of additions, at least 1.
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
