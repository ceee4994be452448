"""Merging by hand and in high precision."""

import math
from decimal import Decimal, getcontext

import mpmath
import numpy as np
import pytest

from cxrlt_cli.predict.merge import merge_logits

HOW = ["geomean", "mean", "logits"]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_geometric_mean_by_hand() -> None:
    merged = merge_logits(np.array([[math.log(1 / 3)], [math.log(3)]]), "geomean")  # p = 1/4 and 3/4: sqrt(3/16)
    assert _sigmoid(merged)[0] == pytest.approx(math.sqrt(3) / 4, abs=1e-12)


def test_arithmetic_mean_by_hand() -> None:
    merged = merge_logits(np.array([[math.log(1 / 3)], [math.log(4)]]), "mean")  # 1/4 and 4/5: 21/40
    assert _sigmoid(merged)[0] == pytest.approx(21 / 40, abs=1e-12)


@pytest.mark.parametrize("how", HOW)
def test_one_member_is_itself(how: str) -> None:
    logits = np.linspace(-40, 30, 101)[None]
    assert np.allclose(merge_logits(logits, how), logits[0], rtol=1e-6)


@pytest.mark.parametrize("how", HOW)
def test_far_logits_neither_tie_nor_overflow(how: str) -> None:
    """float32 probabilities of these are all 0 or 1."""
    low = merge_logits(np.array([[-90.0, -91.0, -92.0], [-100.0, -100.0, -100.0]]), how)
    high = merge_logits(np.array([[30.0, 31.0, 32.0], [33.0, 33.0, 33.0]]), how)
    for merged in (low, high):
        assert np.isfinite(merged).all()
        assert len(set(merged.tolist())) == 3
    assert (np.diff(low) < 0).all()
    assert (np.diff(high) > 0).all()


def test_against_high_precision() -> None:
    getcontext().prec = 60
    draws = np.random.default_rng(0).normal(0, 12, (8, 50))
    for column in range(50):
        p = [1 / (1 + (-Decimal(float(x))).exp()) for x in draws[:, column]]
        product = Decimal(1)
        for value in p:
            product *= value
        geometric, arithmetic = product ** (Decimal(1) / 8), sum(p, Decimal(0)) / 8
        for how, expected in (("geomean", geometric), ("mean", arithmetic)):
            logit = float((expected / (1 - expected)).ln())
            assert merge_logits(draws[:, column : column + 1], how)[0] == pytest.approx(logit, rel=1e-9, abs=1e-9)


def test_mean_of_logits_by_hand() -> None:
    merged = merge_logits(np.array([[math.log(2)], [math.log(8)]]), "logits")  # odds 2 and 8: 4, so p = 4/5
    assert _sigmoid(merged)[0] == pytest.approx(4 / 5, abs=1e-12)


@pytest.mark.parametrize(
    ("how", "probability"),
    [("geomean", (1 / 4) ** 0.75 * (4 / 5) ** 0.25), ("mean", 3 / 4 * 1 / 4 + 1 / 4 * 4 / 5), ("logits", None)],
)
def test_weights_by_hand(how: str, probability: float | None) -> None:
    """p = 1/4 and 4/5, odds 1/3 and 4, weights 3 : 1."""
    odds = (1 / 3) ** 0.75 * 4**0.25
    merged = merge_logits(np.array([[math.log(1 / 3)], [math.log(4)]]), how, np.array([3.0, 1.0]))
    assert _sigmoid(merged)[0] == pytest.approx(odds / (1 + odds) if probability is None else probability, abs=1e-12)


@pytest.mark.parametrize("how", HOW)
def test_equal_weights_are_no_weights_and_a_weight_of_0_is_no_member(how: str) -> None:
    logits = np.random.default_rng(1).normal(0, 9, (4, 30))
    plain = merge_logits(logits, how)
    assert np.allclose(merge_logits(logits, how, np.full(4, 7.0)), plain, rtol=1e-14)
    assert np.allclose(merge_logits(logits, how, np.array([1, 0, 1, 0])), merge_logits(logits[::2], how), rtol=1e-14)


@pytest.mark.parametrize("how", HOW)
def test_merging_in_steps_is_merging_at_once(how: str) -> None:
    logits = np.random.default_rng(2).normal(0, 9, (3, 2, 30))  # three members of two views
    weights = np.array([0.5, 0.3, 0.2])
    views = np.stack([merge_logits(member, how) for member in logits])
    at_once = merge_logits(logits.reshape(6, 30), how, np.repeat(weights, 2))
    assert np.allclose(merge_logits(views, how, weights), at_once, rtol=1e-10)


@pytest.mark.parametrize("how", HOW)
def test_weighted_against_high_precision(how: str) -> None:
    """Logits up to where float64's probabilities are 0 and 1, at 400 digits."""
    draws = np.random.default_rng(3)
    logits, weights = draws.uniform(-120, 120, (5, 40)), draws.random(5)
    merged = merge_logits(logits, how, weights)
    with mpmath.workdps(400):
        w = [mpmath.mpf(float(value)) for value in weights]
        for column in range(logits.shape[1]):
            x = [mpmath.mpf(float(value)) for value in logits[:, column]]
            p = [1 / (1 + mpmath.exp(-value)) for value in x]
            if how == "logits":
                expected = mpmath.fdot(w, x) / mpmath.fsum(w)
            else:
                powers = mpmath.fprod(value**share for value, share in zip(p, w, strict=True))
                q = powers ** (1 / mpmath.fsum(w)) if how == "geomean" else mpmath.fdot(w, p) / mpmath.fsum(w)
                expected = mpmath.log(q / (1 - q))
            assert merged[column] == pytest.approx(float(expected), rel=1e-12, abs=1e-12)


def test_unknown_merge() -> None:
    with pytest.raises(ValueError, match="unknown merge"):
        merge_logits(np.zeros((2, 1)), "median")
