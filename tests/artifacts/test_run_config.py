"""`config.json` of a run: its exact form on disk, and what comes of damaged and forged ones."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_encoder  # noqa: F401 - makes `timm:tiny_golden` known
import torch
from conftest import Run as Command
from damage import GOLDEN, Case
from test_damaged_json import forged, setting

from cxrlt_cli.artifacts.run import Run, RunStatus, read_status, write_status
from cxrlt_cli.artifacts.run_config import read_best, read_run_config, write_best, write_run_config

EARLY = GOLDEN.parents[1] / "early_runs"
DROP = "(removed)"


RUNS = [GOLDEN / "runs/whole", GOLDEN / "runs/fused", EARLY / "runs/early"]


@pytest.mark.parametrize("folder", [*RUNS, GOLDEN / "runs/stopped"], ids=str)
def test_what_is_read_is_written_as_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    config = read_run_config(Run(folder))
    write_run_config(Run(tmp_path), config)
    assert (tmp_path / "config.json").read_text() == (folder / "config.json").read_text()
    status = read_status(Run(folder))
    assert status is not None
    write_status(Run(tmp_path), status)
    before, after = (json.loads((path / "status.json").read_text()) for path in (folder, tmp_path))
    assert list(after) == list(before)
    assert after | {"time": ""} == before | {"time": ""}


@pytest.mark.parametrize("folder", RUNS, ids=str)
def test_the_best_checkpoint_keeps_its_keys(folder: Path, tmp_path: Path) -> None:
    write_best(Run(tmp_path), read_best(Run(folder)))
    before, after = (torch.load(path / "best.pt", weights_only=True) for path in (folder, tmp_path))
    assert list(after) == list(before)
    assert after["described"] == before["described"]
    assert all(torch.equal(after["model"][name], value) for name, value in before["model"].items())


def config_of(path: Path) -> object:
    return read_run_config(Run(path.parent))


def status_of(path: Path) -> object:
    return read_status(Run(path.parent))


CONFIG: list[tuple[str, Any]] = [
    ("options", []), ("options", DROP), ("options.loss", {"bce": 1}), ("options.source_weight", [[1]]),
    ("options.batch_size", -8), ("options.epochs", "5"), ("options.decoder_width", 0), ("options.epochs", True),
    ("classes", {}), ("classes", []), ("classes", DROP), ("classes.1", ""), ("classes.1", "Effusion"),
    ("pixels", []), ("pixels", DROP), ("pixels.size", -16), ("pixels.size", "16"), ("pixels.size", 10**9),
    ("provenance", DROP), ("provenance", []), ("provenance.inputs", {}), ("provenance.inputs.0", "dataset.parquet"),
    ("provenance.inputs.0.sha256", None), ("provenance.command", "cxrlt"),
    ("class_weights", []), ("class_weights", {"Effusion": 1.0}), ("class_weights.Mass", "1"), ("class_weights.Mass", -1.0),
    ("form.precision", "fp8"),
    ("class_weights.Mass", float("nan")), ("encoder_weights", 3), ("form", "fp32"), ("parts", 0), ("parts", 1.5),
    ("weights", -1),
]  # fmt: skip
STATUS = [("state", "asleep"), ("state", DROP), ("best_epoch", "5"), ("best_mAP", "high"), ("step", []), ("time", None)]


def harm(place: str, value: Any) -> Callable[[Path], object]:
    return forged(lambda content: content.pop(place)) if value is DROP else setting(place, value)


@pytest.mark.parametrize(
    "case",
    [
        *(Case("runs/whole/config.json", f"{place} {value!r:.30}", harm(place, value), config_of) for place, value in CONFIG),
        *(Case("runs/whole/status.json", f"{place} {value!r:.30}", harm(place, value), status_of) for place, value in STATUS),
    ],
    ids=str,
)
def test_a_forged_run_is_refused_by_name(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)


COMMANDS: dict[str, list[str]] = {
    "info": ["info", "runs/whole"],
    "predict": ["predict", "whole", "--device", "cpu", "--name", "now"],
    "explain": ["explain", "whole", "i08", "--device", "cpu", "--name", "now"],
    "report": ["report", "whole", "--name", "now"],
    "ensemble": ["ensemble", "whole", "fused", "--name", "now"],
    "compare": ["compare", "runs/whole", "runs/fused"],
    "fuse": ["fuse", "whole", "--device", "cpu", "--name", "now"],
    "train": [],
}


@pytest.fixture
def golden(cxrlt: Command, tmp_path: Path) -> Command:
    """Runs a command in a copy of the workspace."""
    shutil.copytree(GOLDEN, tmp_path, dirs_exist_ok=True)
    return cxrlt


def resume(tmp_path: Path) -> list[str]:
    saved = json.loads((tmp_path / "runs/stopped/config.json").read_text())
    return [*saved["provenance"]["command"][1:], "--resume"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_a_forged_config(command: str, golden: Command, tmp_path: Path) -> None:
    arguments, path = COMMANDS[command], tmp_path / "runs/whole/config.json"
    if command == "train":
        arguments, path = resume(tmp_path), tmp_path / "runs/stopped/config.json"
    there = sorted(tmp_path.rglob("*"))
    for place, value in (("pixels.size", -16), ("options", []), ("provenance", DROP), ("classes.0", 7)):
        kept = path.read_text()
        harm(place, value)(path)
        ended = golden(*arguments)
        assert ended.code == 2, (place, ended.err)
        assert "config.json is damaged: " in ended.err
        assert place.split(".")[0] in ended.err
        assert "Traceback" not in ended.err
        path.write_text(kept)
    assert sorted(tmp_path.rglob("*")) == there


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("options.glow", 0.5, "options that this version does not have: glow"),
        ("class_weights", DROP, "was not written by cxrlt train"),
        ("provenance.inputs", [], "was not written by cxrlt train"),
        ("form", DROP, "was not written by cxrlt train"),
        ("options.mixup", 0.4, "--mixup was 0.4, is 0.0"),
    ],
)
def test_resume_refuses(place: str, value: Any, says: str, golden: Command, tmp_path: Path) -> None:
    arguments = resume(tmp_path)
    harm(place, value)(tmp_path / "runs/stopped/config.json")
    ended = golden(*arguments)
    assert ended.code == 2, ended.err
    assert says in ended.err


def test_a_finished_run_whose_status_lost_its_best_epoch(golden: Command, tmp_path: Path) -> None:
    arguments = [word.replace("stopped", "whole") for word in resume(tmp_path)]
    write_status(Run(tmp_path / "runs/whole"), RunStatus("done", epoch=5))
    ended = golden(*arguments)
    assert ended.code == 2
    assert "status.json is damaged" in ended.err


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("described", {}),
        ("described", []),
        ("pixels", {"size": -1}),
        ("classes", ["Mass", "Mass"]),
        ("epoch", "5"),
        ("spec", []),
    ],
)
def test_predict_refuses_a_forged_checkpoint(key: str, value: Any, golden: Command, tmp_path: Path) -> None:
    path = tmp_path / "runs/whole/best.pt"
    torch.save({**torch.load(path, weights_only=True), key: value}, path)
    ended = golden(*COMMANDS["predict"])
    assert ended.code == 2, ended.err
    assert "best.pt is damaged: " in ended.err
    assert key in ended.err
