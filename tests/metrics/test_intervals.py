"""Intervals, p-values and their correction, by hand and against the definition."""

import numpy as np
import pytest
from scipy import stats

from cxrlt_cli.metrics.intervals import holm, p_values, percentile_interval, t_interval
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
    assert np.isnan(p_values(values)).tolist() == [False, True]


@pytest.mark.parametrize(
    ("differences", "p"),
    [([1, 2, 3, 4], 2 / 5), ([-1, -2, -3, -4], 2 / 5), ([-1, 2, 3, 4], 4 / 5), ([0, 0, 0, 0], 1.0), ([-1, 1, 2, NAN], 1.0)],
)
def test_p_by_hand(differences: list[float], p: float) -> None:
    assert p_values(np.array(differences)[:, None])[0] == pytest.approx(p)


def test_p_of_no_difference_is_uniform() -> None:
    """Means of 50 draws around 0: p < 0.1 happens in about a tenth of the cases."""
    draws = np.random.default_rng(0)
    data = draws.normal(size=(400, 50))
    weights = draws.multinomial(50, [1 / 50] * 50, size=400) / 50
    assert 0.07 <= (p_values(weights @ data.T) < 0.1).mean() <= 0.15


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
