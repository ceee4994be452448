"""Paired differences: p-values that keep their level for few positives, and intervals."""

import numpy as np
import pytest
from scipy import stats

from cxrlt_cli.metrics.paired import Paired, Scorers, paired, permutation_p, score_all

NAN = float("nan")


def scorers_of(scores: np.ndarray, targets: np.ndarray, patients: np.ndarray | None = None, resamples: int = 100) -> Scorers:
    who = np.arange(len(targets)) if patients is None else patients
    return score_all(scores, targets, np.ones(targets.shape, dtype=bool), who, resamples)


def test_p_by_hand() -> None:
    """Of the swaps 0.2, -0.3, 0.1 and 0.3 two are as large as -0.3: (1 + 2) / (4 + 1)."""
    swapped = np.array([0.2, -0.3, 0.1, 0.3])[:, None] * np.array([1.0, 1.0, NAN])
    assert permutation_p(np.array([-0.3, 0.0, NAN]), swapped) == pytest.approx([3 / 5, 1.0, NAN], nan_ok=True)


def test_one_positive_that_one_scorer_has_at_rank_100_and_the_other_at_20_is_no_evidence() -> None:
    """300 images of 300 patients; resamples without the positive once made this p = 0.0016."""
    draws = np.random.default_rng(0)
    targets = np.zeros((300, 1), dtype=np.uint8)
    targets[0] = 1
    scores = np.empty((2, 300, 1), dtype=np.float32)
    for scorer, rank in ((0, 100), (1, 20)):
        others = draws.permutation(np.delete(np.arange(300.0), 300 - rank))
        scores[scorer, :, 0] = np.append(300 - rank, others)
    ap, _ = paired(scorers_of(scores, targets), [0], [1], 1000)
    found = ap.of_classes()
    assert (found.base[0], found.other[0]) == pytest.approx((1 / 100, 1 / 20))
    assert found.p[0] > 0.3
    assert found.notes == ["no power"]
    assert np.isnan([found.low[0], found.high[0]]).all()


def test_equal_scorers_do_not_differ_and_a_real_difference_is_found() -> None:
    draws = np.random.default_rng(1)
    targets = (draws.random((300, 2)) < [0.3, 0.2]).astype(np.uint8)
    weak, strong = (draws.normal(size=targets.shape) + shift * targets for shift in (0.3, 2.0))
    scorers = scorers_of(np.stack([weak, weak, strong]), targets)
    same, better = (paired(scorers, [0], [other], 400)[0] for other in (1, 2))
    assert same.of_classes().p.tolist() == [1.0, 1.0]
    assert better.of_classes().p.tolist() == pytest.approx([1 / 401, 1 / 401])
    mean = better.of_mean(np.array([True, True]))
    assert mean.p[0] == pytest.approx(1 / 401)
    assert 0 < mean.low[0] < mean.difference[0] < mean.high[0]


@pytest.mark.parametrize("positives", [1, 2, 5, 20])
def test_p_keeps_its_level_for_any_number_of_positives(positives: int) -> None:
    """Two equally good scorers of 60 patients: p <= 0.05 in at most about 5 % of 150 cases (10 % for chance)."""
    draws, significant = np.random.default_rng(positives), 0
    for _ in range(15):  # ten classes at a time
        targets = np.zeros((60, 10), dtype=np.uint8)
        for c in range(10):
            targets[draws.choice(60, positives, replace=False), c] = 1
        scores = draws.normal(size=(2, *targets.shape)) + targets
        ap, _ = paired(scorers_of(scores, targets, resamples=2), [0], [1], 99, seed=int(draws.integers(1000)))
        significant += (ap.of_classes().p <= 0.05).sum()
    assert significant / 150 <= 0.1


def test_intervals_and_means_by_hand() -> None:
    resampled = np.array([[0.1, 0.3, NAN], [0.2, 0.1, NAN], [0.3, 0.5, NAN]])
    swapped = np.array([[0.5, -0.1, NAN], [-0.1, 0.0, NAN], [0.0, 0.2, NAN]])
    has_positive = np.zeros((12, 3), dtype=bool)
    has_positive[:5, 0] = has_positive[4:12, 1] = True
    pair = Paired(np.array([0.2, 0.3, NAN]), np.array([0.4, 0.6, NAN]), resampled, swapped, has_positive)
    classes = pair.of_classes()
    assert classes.positive_patients.tolist() == [5, 8, 0]
    half = stats.t.ppf(0.975, 4) * 0.1
    assert (classes.low[0], classes.high[0]) == pytest.approx((0.2 - half, 0.2 + half))
    assert classes.p == pytest.approx([2 / 4, 1 / 4, NAN], nan_ok=True)
    mean = pair.of_mean(np.ones(3, dtype=bool))
    half = stats.t.ppf(0.975, 11) * np.std([0.2, 0.15, 0.4], ddof=1)
    assert (mean.difference[0], mean.low[0], mean.high[0]) == pytest.approx((0.25, 0.25 - half, 0.25 + half))
    assert (mean.p[0], mean.positive_patients[0]) == (1 / 4, 12)


def test_groups_of_unequal_size_are_compared_by_their_means() -> None:
    draws = np.random.default_rng(2)
    targets = (draws.random((80, 2)) < 0.3).astype(np.uint8)
    scorers = scorers_of(draws.normal(size=(3, 80, 2)) + targets, targets)
    ap, auroc = paired(scorers, [0, 1], [2], 20)
    values = np.stack([one.ap for one in scorers.metrics])
    assert ap.base == pytest.approx(values[:2].mean(axis=0))
    assert ap.of_classes().difference == pytest.approx(values[2] - values[:2].mean(axis=0))
    assert auroc.other == pytest.approx(scorers.metrics[2].auroc)
    assert ap.swapped.shape == (20, 2)
