"""Greedy selection by hand, and held against a plain loop over all additions."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from cxrlt_cli.predict.greedy_selection import select_greedily
from cxrlt_cli.predict.merge import merge_logits


def test_by_hand() -> None:
    """Logits merge to their weighted mean, which is best at 1. Members 0, 3, 10: the nearest to 1 is 0; 0 and 3 give 1.5, 0 0 3
    give 1, which nothing improves."""
    logits = np.array([0.0, 3.0, 10.0]).reshape(3, 1, 1)
    found = select_greedily(logits, "logits", lambda merged: -abs(float(merged[0, 0]) - 1), rounds=8)
    assert found.steps == [(0, -1.0), (1, -0.5), (0, 0.0)]
    assert found.weights == pytest.approx([2 / 3, 1 / 3, 0])


def test_the_best_ensemble_on_the_way_is_kept_and_the_first_of_equals_taken() -> None:
    logits = np.array([1.0, 1.0, 4.0]).reshape(3, 1, 1)
    found = select_greedily(logits, "mean", lambda merged: -abs(float(merged[0, 0]) - 1), rounds=5)
    assert found.weights.tolist() == [1, 0, 0]
    assert len(found.steps) == 1


@pytest.mark.parametrize("how", ["geomean", "mean", "logits"])
def test_against_a_loop_that_merges_all_from_the_start(how: str) -> None:
    draws = np.random.default_rng(0)
    targets = (draws.random((300, 3)) < 0.2).astype(int)
    logits = draws.normal(size=(4, 300, 3)) + np.array([0.8, 0.7, 0.6, 0.3]).reshape(4, 1, 1) * targets

    def evaluate(merged: np.ndarray) -> float:
        return float(average_precision_score(targets, merged, average="macro"))

    bag: list[int] = []
    values = []
    for _ in range(6):
        tried = [evaluate(merge_logits(logits[[*bag, member]], how)) for member in range(4)]
        bag.append(int(np.argmax(tried)))
        values.append(max(tried))
    best = int(np.argmax(values)) + 1
    found = select_greedily(logits, how, evaluate, rounds=6)
    assert [member for member, _ in found.steps] == bag[:best]
    assert found.weights == pytest.approx(np.bincount(bag[:best], minlength=4) / best)
    assert evaluate(merge_logits(logits, how, found.weights)) == pytest.approx(values[best - 1], abs=1e-12)
