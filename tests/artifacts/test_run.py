"""Runs and their checkpoints."""

import os
from pathlib import Path

import pytest
import torch

from cxrlt_cli.artifacts.run import Run, finished_runs, newest_finished_run, read_checkpoint, write_checkpoint, write_status
from cxrlt_cli.errors import UserError


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "x.pt", {"model": {"w": torch.arange(3)}, "epoch": 2})
    content = read_checkpoint(tmp_path / "x.pt", ["model", "epoch"])
    assert content["epoch"] == 2
    assert torch.equal(content["model"]["w"], torch.arange(3))


def test_what_is_no_checkpoint_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    cases = {
        "is not there": lambda: None,
        "cannot be read": lambda: path.write_bytes(b"no checkpoint"),
        "is not a checkpoint of cxrlt": lambda: torch.save({"state_dict": {}}, path),
        "cannot be read as": lambda: torch.save({"format": "cxrlt checkpoint", "harm": Path("/")}, path),
        "has version 99": lambda: torch.save({"format": "cxrlt checkpoint", "version": 99}, path),
        "lacks model": lambda: torch.save({"format": "cxrlt checkpoint", "version": 1}, path),
    }
    for says, make in cases.items():
        make()
        with pytest.raises(UserError, match=says):
            read_checkpoint(path, ["model"])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_checkpoint(share: float, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "x.pt", {"model": {"w": torch.arange(3000)}})
    content = (tmp_path / "x.pt").read_bytes()
    (tmp_path / "x.pt").write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        read_checkpoint(tmp_path / "x.pt", ["model"])


def test_the_newest_finished_run_is_the_one_that_finished_last(tmp_path: Path) -> None:
    assert newest_finished_run(tmp_path) is None
    for age, (name, state) in enumerate([("z", "done"), ("a", "done"), ("b", "stopped"), ("c", "failed")]):
        write_status(Run(tmp_path / name), state)  # type: ignore[arg-type]
        os.utime(tmp_path / name / "status.json", (1000 + age, 1000 + age))
    assert {run.folder.name for run in finished_runs(tmp_path)} == {"z", "a"}
    newest = newest_finished_run(tmp_path)
    assert newest is not None
    assert newest.folder.name == "a"
