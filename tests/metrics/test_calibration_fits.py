"""Temperature, Platt and isotonic fits: by hand, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from cxrlt_cli.metrics.calibration import isotonic_logits, sigmoid
from cxrlt_cli.metrics.calibration_fits import (
    cross_entropy,
    fit_isotonic,
    fit_platt,
    fit_temperature,
    order_keeping_points,
)


def _drawn(seed: int, count: int = 300, decimals: int = 5) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    x = np.round(draws.normal(size=count), decimals)
    return x, (draws.random(count) < sigmoid(2 * x - 1)).astype(np.uint8)


def test_temperature_is_found_again_and_is_the_best() -> None:
    draws = np.random.default_rng(2)
    honest = draws.normal(0, 2, 20000)
    y = draws.random(20000) < sigmoid(honest)
    found = fit_temperature(3 * honest, y)
    assert found == pytest.approx(3, rel=0.05)
    for other in (0.97 * found, 1.03 * found):
        assert log_loss(y, sigmoid(3 * honest / found)) < log_loss(y, sigmoid(3 * honest / other))
    assert fit_temperature(honest, np.zeros(20000)) == 1
    assert fit_temperature(np.array([1.0, -1.0]), np.array([1, 0])) == pytest.approx(1 / 64)  # separable: as sure as allowed


@pytest.mark.parametrize("seed", range(3))
def test_platt_equals_logistic_regression_and_keeps_the_mean(seed: int) -> None:
    x, y = _drawn(seed)
    slope, bias = fit_platt(x, y)
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(x[:, None], y)
    assert (slope, bias) == pytest.approx((reference.coef_[0, 0], reference.intercept_[0]), abs=1e-4)
    assert sigmoid(slope * x + bias).mean() == pytest.approx(y.mean(), abs=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "slope"),
    [
        ([-3.0, -2, 1, 2], [0, 0, 1, 1], 20),  # separable: so steep that the loss is 0
        ([-3.0, -2, 1, 2], [1, 1, 0, 0], 1 / 64),  # the wrong way round: the flattest
        ([5.0, 5, 5, 5], [0, 0, 0, 1], None),
        ([-900.0, -800, 3, 900], [0, 1, 0, 1], None),
    ],
)
def test_platt_always_ends_rising_and_keeps_the_mean(x: list[float], y: list[int], slope: float | None) -> None:
    found, bias = fit_platt(np.array(x), np.array(y))
    assert 1 / 64 <= found <= 64
    assert slope is None or found == pytest.approx(slope, rel=0.1)
    assert sigmoid(found * np.array(x) + bias).mean() == pytest.approx(np.mean(y), abs=1e-9)


@pytest.mark.parametrize("decimals", [0, 1, 5])
@pytest.mark.parametrize("seed", range(4))
def test_isotonic_equals_scikit_learn(seed: int, decimals: int) -> None:
    x, y = _drawn(seed, decimals=decimals)
    places, values = fit_isotonic(x, y).points
    reference = IsotonicRegression(out_of_bounds="clip").fit(x, y)
    grid = np.linspace(-4, 4, 801)
    assert np.allclose(np.interp(grid, places, values), reference.predict(grid), atol=1e-9)
    assert np.interp(x, places, values).mean() == pytest.approx(y.mean())


def test_isotonic_by_hand() -> None:
    """Zeros up to -1 are one stretch at 0; 1, 0 is pooled to 0.5; linear between -1 and 0, and between 1 and 2."""
    places, values = fit_isotonic(np.arange(-5.0, 3), np.array([0, 0, 0, 0, 0, 1, 0, 1])).points
    assert places.tolist() == [-5, -1, 0, 1, 2]
    assert values.tolist() == [0, 0, 0.5, 0.5, 1]
    assert np.interp([-1, -0.5], places, values).tolist() == [0, 0.25]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("decimals", [1, 5])
def test_points_rise_and_keep_the_mean_and_stay_close_to_the_steps(decimals: int, scale: float) -> None:
    x, y = _drawn(1, 2000, decimals)
    x = scale * x
    steps = fit_isotonic(x, y)
    places, probabilities = order_keeping_points(steps)
    found = isotonic_logits(x, places, probabilities)
    distinct = np.unique(x)
    assert (np.diff(isotonic_logits(distinct, places, probabilities)) > 0).all(), "it rises everywhere: no ties"
    assert sigmoid(found).mean() == pytest.approx(y.mean(), abs=1e-9)
    assert np.abs(sigmoid(found) - np.interp(x, *steps.points)).max() < 0.05
    assert cross_entropy(found, y) < cross_entropy(x / scale, y)
    assert ((probabilities > 0) & (probabilities < 1)).all()


@pytest.mark.parametrize("y", [[0, 0, 1, 1], [1, 1, 0, 0], [0, 1, 1, 1]])
def test_points_of_few_images(y: list[int]) -> None:
    places, probabilities = order_keeping_points(fit_isotonic(np.arange(4.0), np.array(y)))
    assert ((probabilities > 0) & (probabilities < 1)).all()
    assert (np.diff(probabilities) > 0).all()
    assert np.interp(np.arange(4.0), places, probabilities).mean() == pytest.approx(np.mean(y))


def test_cross_entropy_is_scikit_learns() -> None:
    x, y = _drawn(0)
    assert cross_entropy(x, y) == pytest.approx(log_loss(y, sigmoid(x)))
    assert np.isnan(cross_entropy(x[:0], y[:0]))
