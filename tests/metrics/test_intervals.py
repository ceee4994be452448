"""Intervals, p-values and their correction, by hand and against the definition."""

import numpy as np
import pytest
from scipy import stats

from cxrlt_cli.metrics.intervals import holm, percentile_interval, std_of_defined, t_interval
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
