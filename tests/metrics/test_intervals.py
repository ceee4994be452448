"""Intervals, p-values and their correction, by hand and against the definition."""

import numpy as np
import pytest
from scipy import stats

from cxrlt_cli.metrics.intervals import (
    combined_interval,
    holm,
    mean_proportion_interval,
    percentile_interval,
    std_of_defined,
    t_interval,
)
from cxrlt_cli.metrics.proportions import f1_proportion
from cxrlt_cli.metrics.ranking import means_of_defined

NAN = float("nan")


def test_interval_by_hand() -> None:
    values = np.arange(101.0).reshape(101, 1)
    assert percentile_interval(values, 0.9).ravel().tolist() == pytest.approx([5, 95])


def test_undefined_resamples_are_left_out_and_an_undefined_figure_stays_so() -> None:
    values = np.stack([np.append(np.arange(101.0), NAN), np.full(102, NAN)], axis=1)
    bounds = percentile_interval(values)
    assert bounds[:, 0].tolist() == pytest.approx([2.5, 97.5])
    assert np.isnan(bounds[:, 1]).all()
    assert std_of_defined(values) == pytest.approx([np.arange(101.0).std(ddof=1), NAN], nan_ok=True)


def test_holm_by_hand() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, NAN, 0.005])) == pytest.approx([0.03, 0.06, 0.06, NAN, 0.02], nan_ok=True)
    assert holm(np.array([0.5, 0.9])).tolist() == [1.0, 1.0]
    assert np.isnan(holm(np.array([NAN, NAN]))).all()


def test_means_leave_out_what_is_undefined() -> None:
    found = means_of_defined(np.array([[[1.0, NAN, 3.0]], [[NAN, NAN, NAN]]]))
    assert found.shape == (2, 1)
    assert found[0, 0] == 2
    assert np.isnan(found[1, 0])


def test_the_t_interval_is_that_of_scipy_and_of_a_table() -> None:
    values = np.array([0.03, -0.01, 0.02, 0.05, 0.00])
    low, high = t_interval(values)
    expected = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    assert (low, high) == pytest.approx(expected, abs=1e-12)
    assert high - values.mean() == pytest.approx(2.776445 * values.std(ddof=1) / 5**0.5, rel=1e-6)  # t(4) of printed tables


def test_the_t_interval_covers_the_mean_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(1.0, 2.0, (4000, 5))
    bounds = np.array([t_interval(draw, 0.9) for draw in draws])
    assert np.mean((bounds[:, 0] < 1) & (bounds[:, 1] > 1)) == pytest.approx(0.9, abs=0.015)


def test_bounds_of_classes_are_combined_by_hand() -> None:
    """Values .5 and .7; the first class may be .3 lower or .4 higher, the second .2 lower or .1 higher."""
    values, bounds, equal = np.array([0.5, 0.7, np.nan]), np.array([[0.2, 0.5, np.nan], [0.9, 0.8, np.nan]]), np.ones(3)
    one = np.array([0.4, 0.6, 0.4, 0.6])
    other = np.array([0.6, 0.6, 0.8, 0.8])  # not correlated with it
    undefined = np.full(4, np.nan)
    found = combined_interval(values, bounds, equal, np.stack([one, other, undefined], axis=1))
    np.testing.assert_allclose(found, [0.6 - 0.13**0.5 / 2, 0.6 + 0.17**0.5 / 2])
    together = combined_interval(values, bounds, equal, np.stack([one, one + 0.2, undefined], axis=1))
    np.testing.assert_allclose(together, [0.6 - 0.25, 0.6 + 0.25])
    constant = combined_interval(values, bounds, equal, np.stack([one, np.full(4, 0.7), undefined], axis=1))
    np.testing.assert_allclose(constant, found, err_msg="a class that does not vary has its own interval all the same")
    alone = combined_interval(values, bounds, np.array([0.0, 3.0, 1.0]), np.stack([one, other, undefined], axis=1))
    np.testing.assert_allclose(alone, [0.5, 0.8])
    assert np.isnan(combined_interval(values, bounds, equal, np.empty((0, 3)))).all()


def test_the_mean_f1_has_the_bounds_of_its_classes_combined() -> None:
    """A class that is never hit has an F1 of 0 in every resample; its interval, and that of the mean, still reach above 0."""
    called, positive, patients = np.zeros(12, dtype=bool), np.arange(12) < 3, np.arange(12)
    found = f1_proportion(called, positive, patients)
    bounds = np.array([[found.low, 0.3], [found.high, 0.7]])
    resampled = np.stack([np.zeros(50), np.random.default_rng(0).normal(0.5, 0.1, 50)], axis=1)
    low, high = combined_interval(np.array([0.0, 0.5]), bounds, np.ones(2), resampled)
    assert low == pytest.approx(0.25 - 0.1)
    assert high == pytest.approx(0.25 + np.hypot(found.high, 0.2) / 2)
    assert high > 0.5


def test_the_interval_of_a_mean_of_proportions_by_hand() -> None:
    """Means of 1/1 and 6/10: q = (1 + 4 * .8) / 5 = .84 and (6 + 3.2) / 14, variances .1344 and .02253 of the classes."""
    values, trials = np.array([1.0, 0.6, NAN]), np.array([1.0, 10.0, 0.0])
    bounds = np.array([[0.025, 0.262, NAN], [1.0, 0.878, NAN]])
    flat, varied = np.full(4, 1.0), np.array([0.5, 0.7, 0.5, 0.7])
    q = 9.2 / 14
    std = np.sqrt(0.84 * 0.16 + q * (1 - q) / 10) / 2
    middle, half = np.log(0.8 / 0.2), 1.959963984540054 * std / 0.16
    wanted = [1 / (1 + np.exp(-(middle + side * half))) for side in (-1, 1)]
    resampled = np.stack([flat, varied, np.full(4, NAN)], axis=1)
    found = mean_proportion_interval(values, bounds, trials, np.ones(3), resampled)
    assert found.tolist() == pytest.approx(wanted, abs=1e-12)
    alone = mean_proportion_interval(values, bounds, trials, np.array([0.0, 2.0, 1.0]), resampled)
    assert alone.tolist() == pytest.approx([0.262, 0.878]), "one class has its exact interval"
    perfect = mean_proportion_interval(np.array([1.0, 1.0, NAN]), bounds, trials, np.ones(3), resampled)
    assert perfect[1] == 1
    assert 0.2 < perfect[0] < 0.6, "a mean of 1 has the combined exact bounds"
    assert np.isnan(mean_proportion_interval(values, bounds, trials, np.ones(3), np.empty((0, 3)))).all()


def test_the_mean_of_proportions_of_single_trials_is_covered() -> None:
    """20 classes of one positive patient each, found with probabilities of 0.3 to 0.9, which average 0.6."""
    p = np.linspace(0.3, 0.9, 20)
    bounds_of = {0.0: (0.0, 0.975), 1.0: (0.025, 1.0)}
    draws, held, combined = np.random.default_rng(0), [], []
    for _ in range(400):
        values = (draws.random(20) < p).astype(float)
        bounds = np.array([bounds_of[value] for value in values]).T
        constant = np.tile(values, (2, 1))
        low, high = mean_proportion_interval(values, bounds, np.ones(20), np.ones(20), constant)
        held.append(low <= p.mean() <= high)
        low, high = combined_interval(values, bounds, np.ones(20), constant)
        combined.append(low <= p.mean() <= high)
    assert np.mean(held) >= 0.93 > np.mean(combined), "the exact bounds, combined, are too narrow"
