"""Merging by hand and in high precision."""

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest

from cxrlt_cli.inference.merging import merge_logits


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_geometric_mean_by_hand() -> None:
    merged = merge_logits(np.array([[math.log(1 / 3)], [math.log(3)]]), "geomean")  # p = 1/4 and 3/4: sqrt(3/16)
    assert _sigmoid(merged)[0] == pytest.approx(math.sqrt(3) / 4, abs=1e-12)


def test_arithmetic_mean_by_hand() -> None:
    merged = merge_logits(np.array([[math.log(1 / 3)], [math.log(4)]]), "mean")  # 1/4 and 4/5: 21/40
    assert _sigmoid(merged)[0] == pytest.approx(21 / 40, abs=1e-12)


@pytest.mark.parametrize("how", ["geomean", "mean"])
def test_one_member_is_itself(how: str) -> None:
    logits = np.linspace(-40, 30, 101)[None]
    assert np.allclose(merge_logits(logits, how), logits[0], rtol=1e-6)


@pytest.mark.parametrize("how", ["geomean", "mean"])
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


def test_unknown_merge() -> None:
    with pytest.raises(ValueError, match="unknown merge"):
        merge_logits(np.zeros((2, 1)), "median")
