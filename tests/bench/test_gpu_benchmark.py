"""`benchmarks/gpu.py` runs every line on a CPU, with sizes that measure nothing."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from cxrlt_cli.bench import roofline

SCRIPT = Path(__file__).parents[2] / "benchmarks/gpu.py"


def test_every_part_leaves_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "_CPU_SIDE", 64)
    monkeypatch.setattr(roofline, "_COPIED", 1 << 12)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--tiny", "--seconds", "0", "--output", str(tmp_path)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    found = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert found["decoder"][0]["of_linear"] == 1
    assert {row["views"] for row in found["scoring"]} == {1, 8}
    assert 0 <= found["feeding"][0]["waiting"] <= 1
    assert found["memory"]["micro_batches"] == 1
    assert [row["bit_equal"] for row in found["determinism"]] == [True]
    assert [row.get("failed") for row in found["steps"]] == [None] * 3
    assert "| encoder | px | batch | contender |" in (tmp_path / "gpu.md").read_text(encoding="utf-8")
