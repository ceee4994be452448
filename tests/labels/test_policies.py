"""What uncertain, blank and lacking labels become."""

import numpy as np
import pytest

from cxrlt_cli.artifacts.source_table import BLANK
from cxrlt_cli.config.merge import MergeConfig
from cxrlt_cli.labels.policies import Policy, of_evaluation, soft_targets, to_targets

#: Labelled 1, labelled 0, uncertain, blank, and a class that the source does not label.
PUBLISHED = np.array([[1, 0, -1, BLANK, BLANK]], dtype=np.int8)
LACKING = np.array([False, False, False, False, True])


@pytest.mark.parametrize(
    ("missing", "blank", "uncertain", "targets", "label_mask"),
    [
        ("absent", "absent", "ignore", [1, 0, 0, 0, 0], [1, 1, 0, 1, 1]),
        ("absent", "absent", "positive", [1, 0, 1, 0, 0], [1, 1, 1, 1, 1]),
        ("absent", "absent", "negative", [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]),
        ("ignore", "ignore", "ignore", [1, 0, 0, 0, 0], [1, 1, 0, 0, 0]),
        ("ignore", "absent", "ignore", [1, 0, 0, 0, 0], [1, 1, 0, 1, 0]),
        ("absent", "ignore", "positive", [1, 0, 1, 0, 0], [1, 1, 1, 0, 1]),
        ("pseudo", "absent", "soft:0.55-0.85", [1, 0, 0, 0, 0], [1, 1, 0, 1, 0]),
    ],
)
def test_policies(missing: str, blank: str, uncertain: str, targets: list[int], label_mask: list[int]) -> None:
    found, sure = to_targets(PUBLISHED, LACKING, Policy(missing, blank, uncertain))
    assert found.tolist() == [targets]
    assert sure.tolist() == [[bool(value) for value in label_mask]]
    assert found.dtype == np.uint8


@pytest.mark.parametrize(
    ("policy", "targets", "label_mask"),
    [("ignore", [1, 0, 0, 0, 0], [1, 1, 0, 1, 0]), ("absent", [1, 0, 0, 0, 1], [1, 1, 0, 1, 1])],
)
def test_what_a_source_lacks_in_evaluation(policy: str, targets: list[int], label_mask: list[int]) -> None:
    """The last class is lacking, and was implied by a positive child."""
    before = np.array([[1, 0, 0, 0, 1]], dtype=np.uint8), np.array([[1, 1, 0, 1, 1]], dtype=bool)
    found, sure = of_evaluation(*before, LACKING, Policy("absent", "absent", "ignore", policy))
    assert found.tolist() == [targets]
    assert sure.tolist() == [[bool(value) for value in label_mask]]
    assert (found.dtype, sure.dtype) == (np.uint8, bool)


def test_soft_targets_lie_in_their_range_and_belong_to_their_image() -> None:
    labels = np.full((2000, 2), -1, dtype=np.int8)
    labels[:, 1] = 1
    ids = [f"i{number}" for number in range(2000)]
    soft = soft_targets(labels, ids, ["Edema", "Mass"], (0.55, 0.85), seed=3)
    assert np.isnan(soft[:, 1]).all()
    drawn = soft[:, 0]
    assert drawn.min() >= 0.55
    assert drawn.max() <= 0.85
    assert abs(drawn.mean() - 0.7) < 0.01
    assert np.histogram(drawn, 6, (0.55, 0.85))[0].min() > 250, "uniform: 333 of each sixth"
    order = np.random.default_rng(0).permutation(2000)
    again = soft_targets(labels[order], [ids[i] for i in order], ["Edema", "Mass"], (0.55, 0.85), seed=3)
    assert (again[:, 0] == drawn[order]).all()
    assert (soft_targets(labels, ids, ["Edema", "Mass"], (0.55, 0.85), seed=4)[:, 0] != drawn).mean() > 0.9


def test_policies_by_source() -> None:
    config = MergeConfig(missing=("ignore", "nih=absent"), uncertain=("chexpert=soft:0.1-0.3",), blank=("chexpert=absent",))
    said = {name: [config.policy(name, what) for what in ("missing", "blank", "uncertain")] for name in ("nih", "chexpert")}
    assert said["nih"] == ["absent", "absent", "ignore"]
    assert said["chexpert"] == ["ignore", "absent", "soft:0.1-0.3"]
    assert MergeConfig().policy("x", "missing") == "absent"
    assert MergeConfig().policy("x", "missing_eval") == "ignore"
    asked = MergeConfig(missing_eval=("nih=absent",))
    assert [asked.policy(name, "missing_eval") for name in ("nih", "x")] == ["absent", "ignore"]
    assert asked.named_sources == ["nih"]
