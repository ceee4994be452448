"""Phantoms whose findings are composed of a kind and a place."""

from pathlib import Path

import numpy as np
import pytest

from cxrlt_cli.config.demo import DemoConfig
from cxrlt_cli.demo.anatomy import new_patient
from cxrlt_cli.demo.composed_findings import COMPOSED_FINDINGS, held_out
from cxrlt_cli.demo.hard_findings import draw_hard
from cxrlt_cli.demo.hard_sources import COMPOSED, hard_visits, write_hard_source
from cxrlt_cli.demo.run import _commands
from cxrlt_cli.errors import UserError

BY_NAME = {finding.name: finding for finding in COMPOSED_FINDINGS}


def test_a_third_is_held_out_and_each_kind_and_place_stays_in_training() -> None:
    held = [BY_NAME[name] for name in held_out()]
    assert len(set(held_out())) == len(held) == len(COMPOSED_FINDINGS) / 3
    trained = [finding for finding in COMPOSED_FINDINGS if finding not in held]
    for finding in held:
        assert sum(other.kind == finding.kind for other in trained) >= 4
        assert sum(other.place == finding.place for other in trained) >= 2
        assert any((other.kind, other.field) == (finding.kind, finding.field) for other in trained)


@pytest.mark.parametrize("finding", COMPOSED_FINDINGS, ids=lambda finding: finding.name)
def test_a_finding_is_drawn_where_its_text_says(finding: object) -> None:
    name = finding.name  # type: ignore[attr-defined]
    patient, seed = new_patient(np.random.default_rng(3)), (3, 0)
    with_it, [box] = draw_hard([name], patient, seed, 64, COMPOSED_FINDINGS, COMPOSED.contrast)
    without, none = draw_hard([], patient, seed, 64, COMPOSED_FINDINGS, COMPOSED.contrast)
    assert not none
    change = np.abs(with_it.astype(float) - without)
    assert change.max() > 10
    x, y = box.x + box.w / 2, box.y + box.h / 2
    assert (x < 32) == ("right" in name)
    heights = {"upper": (10, 30), "middle": (22, 40), "lower": (30, 52)}
    low, high = heights[name.split()[-1]]
    assert low < y < high
    assert name.split()[1] in BY_NAME[name].prompt


def test_all_are_equally_frequent_and_the_source_has_texts(tmp_path: Path) -> None:
    found = hard_visits(3000, np.random.default_rng(0), COMPOSED)
    counts = np.array([sum(name in visit.findings for visit in found) for name in COMPOSED.names])
    assert counts.min() > 0.7 * counts.mean()
    write_hard_source(tmp_path / "s", 6, 32, 0, 1, COMPOSED)
    lines = (tmp_path / "s/label_texts.csv").read_text().splitlines()
    assert lines[1] == (
        "Nodule right upper,nodule in the right upper lung field,A small round bright spot in the right upper lung field"
    )
    assert len(lines) == 31
    assert len(list((tmp_path / "s/images").iterdir())) == 6


def test_the_demonstration_merges_with_the_compositions_held_out() -> None:
    merge = _commands(DemoConfig(findings="composed", data_only=True))[-1]
    assert merge[merge.index("--hold-out") + 1].split(",") == held_out()
    assert "--hold-out" not in _commands(DemoConfig(findings="hard", data_only=True))[-1]
    with pytest.raises(UserError, match="--findings composed makes data only"):
        DemoConfig(findings="composed")
