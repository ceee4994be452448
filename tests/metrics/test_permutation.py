"""Swapping two scorers patient by patient: against plain loops and scikit-learn, and all swaps of a tiny case."""

from itertools import product

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrlt_cli.metrics.permutation import merged_ranks, swapped_differences
from cxrlt_cli.metrics.resampling import swaps


def test_ranks_are_merged_with_ties_inside_a_scorer_kept_and_between_scorers_broken() -> None:
    """Mean ranks 1, 2.5, 2.5 and 1, 2, 3: the first of each tie, and one comes before the other by lot."""
    scores, seen = np.array([[0.1, 0.7, 0.7], [5.0, 6.0, 9.0]]), set()
    for seed in range(20):
        found = merged_ranks(scores, np.random.default_rng(seed)).tolist()
        seen.add(tuple(found))
    assert seen == {(0, 3, 3, 1, 2, 4), (1, 3, 3, 0, 2, 4)}


def test_equals_swapped_ranks_and_scikit_learn() -> None:
    draws = np.random.default_rng(0)
    count = 60
    targets, patients = (draws.random((count, 3)) < [0.4, 0.1, 0.05]).astype(np.uint8), draws.integers(0, 25, count)
    targets[0] = 1
    scores = np.round(draws.normal(size=(2, 2, count, 3)) + targets, 1).astype(np.float32)
    known = draws.random(targets.shape) < 0.9
    ap, auroc = swapped_differences(scores, targets, known, patients, 40, seed=3)
    names, codes = np.unique(patients, return_inverse=True)
    lots = np.random.default_rng(3)
    for c in range(3):
        rows = np.flatnonzero(known[:, c])
        places = [merged_ranks(scores[:, network, rows, c], lots).reshape(2, -1) for network in range(2)]
        truth = targets[rows, c]
        for number in range(40):
            swapped = swaps(len(names), 3, number)[codes[rows]] == 1
            found = []
            for base, other in places:
                one, two = np.where(swapped, other, base), np.where(swapped, base, other)
                found.append([score(truth, two) - score(truth, one) for score in (average_precision_score, roc_auc_score)])
            assert (ap[number, c], auroc[number, c]) == pytest.approx(np.mean(found, axis=0), abs=1e-12)


def test_no_swap_gives_more_than_all_swaps_of_a_tiny_case_do() -> None:
    """Four patients of one image have 16 swaps: 2,000 random ones give exactly their differences, each about as often."""
    scores = np.array([[0.9, 0.1, 0.5, 0.3], [0.2, 0.8, 0.6, 0.1]])[:, None, :, None]
    targets, everyone = np.array([1, 0, 1, 0])[:, None], np.ones((4, 1), dtype=bool)
    ap, _ = swapped_differences(scores, targets, everyone, np.arange(4), 2000, seed=1)
    base, other = merged_ranks(scores[:, 0, :, 0], np.random.default_rng(1)).reshape(2, 4)
    all_swaps = []
    for swapped in product([False, True], repeat=4):
        one, two = np.where(swapped, other, base), np.where(swapped, base, other)
        all_swaps.append(average_precision_score(targets[:, 0], two) - average_precision_score(targets[:, 0], one))
    values, counts = np.unique(np.round(all_swaps, 9), return_counts=True)
    found, often = np.unique(np.round(ap[:, 0], 9), return_counts=True)
    assert found == pytest.approx(values)
    assert often / 2000 == pytest.approx(counts / 16, abs=0.05)


def test_a_class_without_a_positive_is_undefined_and_bad_shapes_are_refused() -> None:
    scores, targets = np.arange(12.0).reshape(2, 1, 6, 1), np.zeros((6, 1))
    everyone = np.ones((6, 1), dtype=bool)
    ap, auroc = swapped_differences(scores, targets, everyone, np.arange(6), 5)
    assert np.isnan(ap).all()
    assert np.isnan(auroc).all()
    with pytest.raises(ValueError, match=r"\(2, M, N, C\)"):
        swapped_differences(scores[0], targets, everyone, np.arange(6), 5)
