"""An input that is replaced while a command computes: the command is refused, and writes nothing."""

import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from bad_input import state, the_message
from conftest import Run
from shared import copied

VALIDATION, OTHER = "runs/whole/validation.parquet", "runs/fused/validation.parquet"
#: Command line, the function in whose first call the file is replaced, and the file.
CASES = {
    "calibrate, its scores": ("calibrate runs/whole --name new", "evaluate.calibrate.fit_class", VALIDATION),
    "calibrate, its labels": ("calibrate runs/whole --name new", "evaluate.calibrate.fit_class", "dataset.parquet"),
    "ensemble, a member": ("ensemble runs/whole runs/fused --name new", "predict.ensemble.merge_logits", VALIDATION),
    "ensemble, its labels": ("ensemble runs/whole runs/fused --name new", "predict.ensemble.merge_logits", "dataset.parquet"),
    "ensemble, what it is applied to": (
        "ensemble runs/whole runs/fused --apply predictions/whole.parquet --apply predictions/fused.parquet --name new",
        "predict.ensemble.merge_logits", "predictions/whole.parquet",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_written(case: str, cxrlt: Run, golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed, name, file = CASES[case]
    workspace = copied(golden, tmp_path)
    module = import_module(f"cxrlt_cli.{name.rpartition('.')[0]}")
    computed: Callable[..., Any] = getattr(module, name.rpartition(".")[2])

    def replacing(*given: Any, **named: Any) -> Any:
        shutil.copy(workspace / OTHER, workspace / file)
        return computed(*given, **named)

    monkeypatch.setattr(module, computed.__name__, replacing)
    before = state(workspace)
    ended = cxrlt(*typed.split())
    assert ended.code == 2
    assert f"{file} was replaced while it was in use" in the_message(ended.err)
    assert set(state(workspace)) == set(before)
