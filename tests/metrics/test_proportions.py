"""Intervals of proportions: by hand, against scipy's exact interval, and by how often they cover."""

import numpy as np
import pytest
from scipy.stats import binomtest, t

from cxrlt_cli.metrics.proportions import clopper_pearson, effective_trials, f1_proportion, proportion


@pytest.mark.parametrize(("hits", "trials"), [(0, 14), (5, 5), (1, 3), (7, 20), (199, 200)])
def test_exact_interval_is_scipys(hits: int, trials: int) -> None:
    wanted = binomtest(hits, trials).proportion_ci(method="exact")
    assert clopper_pearson(hits / trials, trials) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


@pytest.mark.parametrize("hit", [True, False])
def test_few_positives_have_a_wide_interval(hit: bool) -> None:
    """5 of 5 patients: Clopper and Pearson's 0.478 … 1, not 1 … 1."""
    found = proportion(np.full(5, hit), np.ones(5, dtype=bool), np.arange(5))
    assert (found.value, found.low, found.high) == pytest.approx((1, 0.4782, 1) if hit else (0, 0, 0.5218), abs=1e-4)


def test_effective_trials_by_hand() -> None:
    """4 patients of 2 trials, two with 2 hits and two with none: p 1/2, v = 4/3 * 4 / 64 = 1/12, p (1 - p) / v = 3."""
    counted = 3 * (1.959964 / t.ppf(0.975, 3)) ** 2
    wanted = 1 / (2 / 3 / counted + 1 / 3 / 4)  # n0 is 8^2 / 16 = 4, two patients have hits and two have misses
    assert effective_trials(np.array([2.0, 0, 2, 0]), np.full(4, 2.0)) == pytest.approx(wanted, rel=1e-6)
    assert effective_trials(np.array([3.0, 1]), np.array([3.0, 1])) == pytest.approx(16 / 10)  # all hit: n0
    assert effective_trials(np.array([2.0]), np.array([5.0])) == 1  # one patient
    single = effective_trials(np.arange(1000) < 300, np.ones(1000))
    assert 985 < single < 1000  # an image a patient: nearly every one counts


def test_images_of_the_same_patients_tell_less() -> None:
    hits = np.repeat(np.arange(20) < 12, 5)
    everything = np.ones(100, dtype=bool)
    clustered = proportion(hits, everything, np.repeat(np.arange(20), 5))
    apart = proportion(hits, everything, np.arange(100))
    assert clustered.value == apart.value == 0.6
    assert clustered.high - clustered.low > 1.9 * (apart.high - apart.low)


def test_f1_by_hand() -> None:
    """TP 3, FP 1, FN 1: q = 3/5, F1 = 3/4; its bounds are those of q, moved."""
    called = np.array([1, 1, 1, 1, 0, 0, 0], dtype=bool)
    positive = np.array([1, 1, 1, 0, 1, 0, 0], dtype=bool)
    found = f1_proportion(called, positive, np.arange(7))
    assert found.value == pytest.approx(0.75)
    q = proportion(called & positive, called | positive, np.arange(7))
    assert (found.low, found.high) == pytest.approx((2 * q.low / (1 + q.low), 2 * q.high / (1 + q.high)))
    assert np.isnan(f1_proportion(called, np.zeros(7, dtype=bool), np.arange(7)).value)


def test_without_a_trial_it_is_undefined() -> None:
    found = proportion(np.ones(3, dtype=bool), np.zeros(3, dtype=bool), np.arange(3))
    assert np.isnan([found.value, found.low, found.high]).all()


@pytest.mark.parametrize("patients", [5, 15, 60])
def test_it_covers_the_truth_where_images_of_a_patient_agree(patients: int) -> None:
    """Patients of 1 to 9 images, probabilities drawn from Beta(4, 1): the mean over images is 0.8."""
    draws = np.random.default_rng(patients)
    covered = 0
    for _ in range(300):
        codes = np.repeat(np.arange(patients), draws.integers(1, 10, patients))
        hits = draws.random(len(codes)) < draws.beta(4, 1, patients)[codes]
        found = proportion(hits, np.ones(len(codes), dtype=bool), codes)
        covered += found.low <= 0.8 <= found.high
    assert covered >= 0.93 * 300
