"""Head, medium and tail."""

import numpy as np
import pytest

from cxrlt_cli.labels.groups import BOUNDS, GROUPS, assign, rule

# training positives of the CXR-LT 2023 challenge, of 264,849 images
CHALLENGE = [
    89140, 79931, 76900, 69240, 67597, 48093, 41869, 38574, 30119, 16038, 14983, 11883, 10218,
    7663, 5529, 4361, 4255, 4049, 3499, 3369, 2533, 2453, 1158, 788, 675, 543,
]  # fmt: skip


def test_the_challenge_has_9_head_11_medium_and_6_tail_classes() -> None:
    groups = assign(np.array(CHALLENGE) / 264849)
    assert [groups.count(group) for group in GROUPS] == [9, 11, 6]
    assert groups == sorted(groups, key=GROUPS.index)


def test_a_share_on_a_bound_belongs_below_it() -> None:
    above = np.nextafter(BOUNDS, 1)
    assert assign(np.array([above[0], 0.10, above[1], 0.01, 0.0, 1.0])) == ["head", "medium", "medium", "tail", "tail", "head"]


def test_other_bounds() -> None:
    assert assign(np.array([0.3, 0.2, 0.05]), (0.25, 0.05)) == ["head", "medium", "tail"]
    assert assign(np.array([0.3, 1e-9, 0.0]), (0.25, 0.0)) == ["head", "medium", "tail"]
    assert assign(np.array([])) == []


def test_the_rule_says_the_bounds() -> None:
    assert rule() == "head > 10%, medium > 1%, tail <= 1% of the known training labels positive"
    assert rule((0.07, 0.005)) == "head > 7%, medium > 0.5%, tail <= 0.5% of the known training labels positive"


@pytest.mark.parametrize("bounds", [(0.01, 0.10), (0.1, 0.1), (1.0, 0.1), (0.1, -0.1), (float("nan"), 0.1)])
def test_bounds_out_of_order_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="low < high"):
        assign(np.array([0.5]), bounds)
    with pytest.raises(ValueError, match="low < high"):
        rule(bounds)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="prevalences lie within"):
        assign(np.array([0.5, share]))
