"""Maps against boxes, worked out by hand."""

import numpy as np
import pytest

from cxrlt_cli.explain.box_metrics import THRESHOLDS, hits, ious, mask_of, part_inside, patient_interval


def test_masks() -> None:
    mask = mask_of([(1, 0, 3, 2)], 4)
    assert mask.astype(int).tolist() == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert mask_of([(1, 0, 3, 2)], 4, widened=1).sum() == 4 * 3
    assert mask_of([(1, 0, 3, 2), (0, 3, 1, 4)], 4).sum() == 5, "several boxes of a finding are one area"
    assert np.argwhere(mask_of([(2.1, 3.2, 2.3, 3.4)], 4)).tolist() == [[3, 2]], "a box within a pixel has that pixel"


def test_hit_part_and_iou() -> None:
    mask = mask_of([(1, 0, 3, 2)], 4)
    values = np.zeros((4, 4))
    values[0, 1], values[1, 1], values[3, 3], values[3, 0] = 1.0, 0.5, 0.8, 0.2
    assert hits(values, mask)
    assert part_inside(values, mask) == pytest.approx(1.5 / 2.5)
    found = dict(zip(THRESHOLDS.round(2).tolist(), ious(values, mask).tolist(), strict=True))
    assert found[0.1] == pytest.approx(2 / (4 + 4 - 2))
    assert found[0.5] == pytest.approx(2 / (3 + 4 - 2)), "a value at the threshold counts"
    assert found[0.9] == pytest.approx(1 / 4)
    values[2, 2] = 2.0
    assert not hits(values, mask)


def test_a_map_without_a_peak_points_at_nothing() -> None:
    mask = mask_of([(0, 0, 2, 2)], 4)
    assert not hits(np.zeros((4, 4)), mask)
    assert not hits(np.full((4, 4), 0.3), mask), "its first place is in the box by chance"
    assert part_inside(np.zeros((4, 4)), mask) == 0
    assert ious(np.zeros((4, 4)), mask).tolist() == [0.0] * len(THRESHOLDS)
    assert part_inside(np.full((4, 4), 0.3), mask) == pytest.approx(0.25)


def test_intervals_are_over_patients() -> None:
    draws = np.random.default_rng(0)
    values = draws.normal(size=200)
    low, high = patient_interval(values, np.arange(200))
    half = 1.96 * values.std() / 200**0.5
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)
    again = patient_interval(np.repeat(values, 4), np.repeat(np.arange(200), 4))
    assert again == pytest.approx((low, high), abs=1e-12), "four images of a patient that agree say as much as one"
    assert np.isnan(patient_interval(values[:4], np.arange(4))).all()
