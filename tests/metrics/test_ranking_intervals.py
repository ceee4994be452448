"""Intervals of AP, AUROC and their means: worked by hand, and how often they contain the true value."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cxrlt_cli.metrics.bootstrap import resample
from cxrlt_cli.metrics.intervals import logit_interval
from cxrlt_cli.metrics.ranking import average_precision
from cxrlt_cli.metrics.ranking_intervals import ClassEstimates, estimate

NAN = float("nan")


def made(skewed: bool, classes: int = 3, patients: tuple[int, ...] = (40, 12, 8)) -> ClassEstimates:
    """Classes of AP 0.5, 0.3 and 0.2 whose values in 400 resamples spread by 0.02, 0.06 and 0.05."""
    draws = np.random.default_rng(0)
    middle, spread = np.array([0.5, 0.3, 0.2])[:classes], np.array([0.02, 0.06, 0.05])[:classes]
    drawn = draws.normal(size=(400, classes))
    drawn = (drawn - drawn.mean(axis=0)) / drawn.std(axis=0, ddof=1)
    count = np.array(patients)[:classes]
    return ClassEstimates(middle + 0.01, middle, middle + spread * drawn, count, count.astype(float), skewed)


def test_logit_interval_by_hand() -> None:
    """Of 0.2 with a standard deviation of 0.05 and t(10) = 2.228139: logit -1.386294 -+ 2.228139 * 0.05 / 0.16."""
    low, high = logit_interval(np.array(0.2), np.array(0.05), np.array(10), np.array(10))
    assert (low, high) == pytest.approx(
        (1 / (1 + np.exp(1.386294 + 0.696293)), 1 / (1 + np.exp(1.386294 - 0.696293))), abs=1e-6
    )


def test_too_few_patients_or_no_value_give_no_interval() -> None:
    bounds = logit_interval(np.array([0.2, 0.2, NAN]), np.full(3, 0.05), np.full(3, 9.0), np.array([4, 5, 9]))
    assert np.isnan(bounds).tolist() == [[True, False, True]] * 2


def test_a_perfect_ranking_has_the_exact_bound_of_a_proportion() -> None:
    """Ten of ten: the 95 % interval of Clopper and Pearson is 0.6915 to 1."""
    low, high = logit_interval(np.array([1.0, 0.0]), np.zeros(2), np.full(2, 10.0), np.full(2, 10))
    assert (low[0], high[0]) == pytest.approx(tuple(stats.binomtest(10, 10).proportion_ci()))
    assert (low[1], high[1]) == pytest.approx(tuple(stats.binomtest(0, 10).proportion_ci()))


@pytest.mark.parametrize("skewed", [True, False])
def test_the_mean_of_one_class_has_the_interval_of_the_class(skewed: bool) -> None:
    one = made(skewed, classes=1)
    mean = one.mean(np.array([True]))
    assert mean.interval == pytest.approx(one.interval[:, 0])
    assert (mean.value, mean.corrected) == (one.value[0], one.corrected[0])


def test_a_mean_of_auroc_by_hand() -> None:
    classes = made(False)
    variances = np.array([0.02, 0.06, 0.05]) ** 2
    degrees = variances.sum() ** 2 / (variances**2 / [40, 12, 8]).sum()  # Satterthwaite
    half = stats.t.ppf(0.975, degrees) * classes.resampled.mean(axis=1).std(ddof=1) / (1 / 3 * 2 / 3)
    logit = np.log(0.5)  # of the mean, 1 / 3
    assert classes.mean(np.ones(3, dtype=bool)).interval == pytest.approx(1 / (1 + np.exp(-(logit + np.array([-half, half])))))


def test_a_class_of_few_patients_has_at_least_the_variance_of_a_patient_elsewhere() -> None:
    """Two patients that hardly vary over resamples: their class takes the mean of K s^2 over the others, divided by 2."""
    classes = made(False, patients=(40, 12, 2))
    classes = replace(classes, resampled=np.column_stack([classes.resampled[:, :2], np.full(400, 0.2)]))
    variances = np.array([0.02**2, 0.06**2, (40 * 0.02**2 + 12 * 0.06**2) / 2 / 2])
    std = np.sqrt(classes.resampled.mean(axis=1).var(ddof=1) + variances[2] / 9)
    degrees = variances.sum() ** 2 / (variances[:2] ** 2 / [40, 12]).sum()
    half = stats.t.ppf(0.975, degrees) * std / (1 / 3 * 2 / 3)
    expected = 1 / (1 + np.exp(-(np.log(0.5) + np.array([-half, half]))))
    assert classes.mean(np.ones(3, dtype=bool)).interval == pytest.approx(expected)


def test_a_mean_of_ap_is_widened_half_way_to_the_combined_intervals_of_its_classes() -> None:
    classes, every = made(True), np.ones(3, dtype=bool)
    plain = replace(classes, skewed=False).mean(every).interval
    low, high = classes.mean(every).interval
    middle, std = classes.corrected, np.array([0.02, 0.06, 0.05])
    correlation = np.corrcoef(classes.resampled.T)
    for bound, side, sign in ((low, plain[0], -1), (high, plain[1], 1)):
        own = 1 / (1 + np.exp(-(np.log(middle / (1 - middle)) + sign * 1.959964 * std / (middle * (1 - middle))))) - middle
        combined = np.sqrt(own @ correlation @ own) / 3
        half = abs(side - 1 / 3)
        assert bound == pytest.approx(1 / 3 + sign * max(half, (half + combined) / 2), abs=1e-6)


def test_an_undefined_class_is_left_out_or_counts_zero() -> None:
    classes = made(True)
    classes = replace(
        classes,
        value=np.array([*classes.value[:2], NAN]),
        corrected=np.array([0.5, 0.3, NAN]),
        resampled=np.column_stack([classes.resampled[:, :2], np.full(400, NAN)]),
        patients=np.array([40, 12, 0]),
        effective_patients=np.array([40.0, 12.0, 0.0]),
    )
    every = np.ones(3, dtype=bool)
    assert classes.mean(every).corrected == pytest.approx(0.4)
    assert classes.mean(every).interval == pytest.approx(classes.mean(np.array([0, 1])).interval)
    zero = classes.undefined_is_zero().mean(every)
    assert zero.corrected == pytest.approx(0.8 / 3)
    assert zero.interval[0] < zero.corrected < zero.interval[1]
    assert np.isnan(classes.mean(np.array([2])).interval).all()


def test_an_interval_contains_the_true_ap_about_as_often_as_it_says() -> None:
    """Samples of 120 images with about 8 positives from a population of 20,000: 200 intervals of AP, and of percentiles."""
    draws = np.random.default_rng(3)
    targets = (draws.random((20_000, 1)) < 0.07).astype(np.uint8)
    scores = (draws.normal(size=targets.shape) + 1.2 * targets).astype(np.float32)
    truth, inside, defined = average_precision(scores[:, 0], targets[:, 0]), 0, 0
    for _ in range(200):
        rows = draws.integers(0, 20_000, 120)
        sample = targets[rows], np.ones((120, 1), dtype=bool), np.arange(120)
        _, ap, _ = estimate(scores[rows], *sample, resample(scores[rows][None], *sample, 100))
        low, high = ap.interval[:, 0]
        defined += not np.isnan(low)
        inside += low <= truth <= high
    assert defined > 150
    assert 0.92 <= inside / defined <= 0.995
