"""The rate as a function of the step."""

import math

import pytest

from cxrlt_cli.train.lr_schedule import lr_at


def test_warm_up_rises_to_the_peak() -> None:
    assert [lr_at(step, 100, 1.0, 0.04) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_cosine_falls_to_nothing() -> None:
    assert lr_at(4, 100, 2.0, 0.04) == 2.0
    assert lr_at(52, 100, 2.0, 0.04) == pytest.approx(1.0)
    assert 0 < lr_at(99, 100, 2.0, 0.04) < 0.001


def test_without_warm_up_it_begins_at_the_peak() -> None:
    assert lr_at(0, 10, 1.0, 0.0) == 1.0
    assert lr_at(9, 10, 1.0, 0.0) == pytest.approx(0.5 * (1 + math.cos(0.9 * math.pi)))
