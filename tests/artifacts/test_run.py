"""Runs and their checkpoints."""

import errno
import os
import resource
from pathlib import Path

import pytest
import torch

from cxrlt_cli.artifacts.json_files import read_json
from cxrlt_cli.artifacts.run import (
    Run,
    RunStatus,
    finished_runs,
    newest_finished_run,
    read_checkpoint,
    write_checkpoint,
    write_status,
)
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
        write_status(Run(tmp_path / name), RunStatus(state))  # type: ignore[arg-type]
        os.utime(tmp_path / name / "status.json", (1000 + age, 1000 + age))
    assert {run.folder.name for run in finished_runs(tmp_path)} == {"z", "a"}
    newest = newest_finished_run(tmp_path)
    assert newest is not None
    assert newest.folder.name == "a"


def _model(numbers: int) -> dict[str, object]:
    return {"model": {"w": torch.arange(numbers, dtype=torch.float32)}, "best": (0.5, 3), "history": [{"ap": None}]}


def test_a_checkpoint_that_the_limit_of_a_files_size_forbids(tmp_path: Path) -> None:
    """As a full disk: one message, and the old checkpoint stays."""
    path = tmp_path / "last.pt"
    write_checkpoint(path, _model(1000))
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(UserError, match="File too large") as caught:
            write_checkpoint(path, _model(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "ulimit -f" in caught.value.hint
    assert path.read_bytes() == before
    assert [left.name for left in tmp_path.iterdir()] == [path.name]


def test_the_same_checkpoint_has_the_same_bytes(tmp_path: Path) -> None:
    for name in ("last.pt", "best.pt"):
        write_checkpoint(tmp_path / name, _model(5000))
    assert (tmp_path / "last.pt").read_bytes() == (tmp_path / "best.pt").read_bytes()


def test_the_hint_goes_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read is not a damaged one."""

    def denied(*_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", "config.json")

    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(UserError, match="Permission denied") as caught:
        read_json(tmp_path / "config.json")
    assert "right to read" in caught.value.hint
    assert "--overwrite" not in caught.value.hint
