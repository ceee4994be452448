"""`cxrlt runs`: every run of a workspace, whatever its state, and the removal of what resuming no longer needs."""

import fcntl
import io
import json
import shutil
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import CACHE, TRAIN, Run, classes_file, type_in
from shared import copied, made_once

STATES = {
    "base": "done",
    "bent": "damaged",
    "broken": "damaged",
    "early": "done",
    "killed": "killed",
    "stopped": "stopped",
}


def _edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.fixture(scope="session")
def made(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained and evaluated run, and copies of it in other states."""

    def make(folder: Path) -> None:
        commands: list[list[object]] = [
            [*CACHE, "--source", f"table={copied(written, folder / 'source') / 'labels.csv'}", "--name", "pictures"],
            ["embed-labels", "--encoder", "ngram"],
            ["merge", "--label-space", classes_file(folder), "--split", "50,25,25"],
            [*TRAIN, "--epochs", "1", "--name", "base"],
            ["predict"],
            ["evaluate", "--bootstrap", "20"],
        ]
        type_in(folder, commands)
        runs = folder / "runs"
        for name in set(STATES) - {"base"}:
            shutil.copytree(runs / "base", runs / name)
            _edit(runs / name / "config.json", lambda content, name=name: content["options"].update(name=name))  # type: ignore[misc]
        (runs / "broken/config.json").write_text("{")
        (runs / "bent/best.pt").unlink()
        _edit(runs / "early/status.json", lambda content: content.update(reason="--patience 1: ended"))
        _edit(runs / "early/config.json", lambda content: content["options"].update(epochs=9, rate=0.5, patience=1, workers=3))
        _edit(runs / "killed/status.json", lambda content: content.update(state="running"))
        _edit(runs / "stopped/status.json", lambda content: content.update(state="stopped", reason="SIGTERM"))

    return made_once(tmp_path_factory, "runs-listed", make)


@pytest.fixture
def workspace(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may write to, and that is the current folder of `cxrlt`."""
    return copied(made, tmp_path)


def _runs(cxrlt: Run, *more: object) -> dict[str, dict[str, Any]]:
    ended = cxrlt("runs", "--json", *more)
    assert ended.code == 0, ended.err
    return {run["name"]: run for run in json.loads(ended.out)["runs"]}


def test_every_run_is_listed_with_its_numbers(cxrlt: Run, workspace: Path) -> None:
    found = _runs(cxrlt)
    assert {name: run["state"] for name, run in found.items()} == STATES
    base = found["base"]
    history = [json.loads(line) for line in (workspace / "runs/base/history.jsonl").read_text().splitlines()]
    metrics = json.loads((workspace / "evaluations/base-test/metrics.json").read_text())
    config, status = (json.loads((workspace / f"runs/base/{name}.json").read_text()) for name in ("config", "status"))
    assert (base["epochs"], base["of_epochs"], base["val_map"]) == (1, 1, history[0]["mAP"])
    assert [base["test"][key] for key in ("value", "low", "high")] == [metrics[key] for key in ("mAP", "mAP_low", "mAP_high")]
    seconds = datetime.fromisoformat(status["time"]) - datetime.fromisoformat(config["provenance"]["time"])
    assert base["hours"] == pytest.approx(seconds.total_seconds() / 3600)
    assert base["bytes"] == sum(path.stat().st_size for path in (workspace / "runs/base").iterdir())
    assert found["early"]["options"] == {"--epochs": 9, "--lr": 0.5}
    assert base["options"] == {"--epochs": 1, "--lr": 0.001}
    assert "best.pt is missing" in found["bent"]["note"]
    assert "config.json" in found["broken"]["note"]


def test_the_next_command(cxrlt: Run, workspace: Path) -> None:
    found = _runs(cxrlt)
    assert found["base"]["next"] == "cxrlt report base-test"
    assert found["early"]["next"] == "cxrlt predict early"
    for name in ("killed", "stopped"):
        assert found[name]["next"].startswith("cxrlt train --encoder timm:tiny_net ")
        assert found[name]["next"].endswith(" --resume")
    text = cxrlt("runs")
    assert text.code == 0
    assert [line.split()[0] for line in text.out.splitlines()[2:]] == list(STATES)
    assert f"next: {found['killed']['next']}" in text.err
    assert "bent: " in text.err
    shutil.rmtree(workspace / "evaluations")
    assert _runs(cxrlt)["base"]["next"] == "cxrlt evaluate base-test"


def test_an_evaluation_from_before_the_training_does_not_count(cxrlt: Run, workspace: Path) -> None:
    _edit(workspace / "runs/base/status.json", lambda content: content.update(time="2999-01-01T00:00:00+00:00"))
    assert _runs(cxrlt)["base"]["test"] is None


def test_a_run_whose_lock_is_held_is_running(cxrlt: Run, workspace: Path) -> None:
    with (workspace / "runs/killed/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        killed = _runs(cxrlt)["killed"]
    assert (killed["state"], killed["next"]) == ("running", "")


def _kept(workspace: Path, name: str = "last.pt") -> list[str]:
    return sorted(path.parent.name for path in (workspace / "runs").glob(f"*/{name}"))


@pytest.mark.parametrize("answer", ["n\n", "", "y\n"])
def test_clean_asks_and_removes_only_what_resuming_does_not_need(
    answer: str, cxrlt: Run, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    best = _kept(workspace, "best.pt")
    ended = cxrlt("runs", "--clean")
    assert ended.code == 0, ended.err
    assert "runs/base/last.pt: " in ended.err
    assert "early: kept, since a larger --patience continues it" in ended.err
    removed = {"base"} if answer == "y\n" else set()
    assert set(_kept(workspace)) == set(STATES) - removed
    assert _kept(workspace, "best.pt") == best
    assert not list((workspace / "runs").glob("*/.lock"))


def test_clean_without_a_question_and_twice(cxrlt: Run, workspace: Path) -> None:
    ended = cxrlt("runs", "--clean", "--yes", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["removed"] == ["runs/base/last.pt"]
    assert "base" not in _kept(workspace)
    assert "nothing to remove" in cxrlt("runs", "--clean", "--yes").err
    ended = cxrlt(*TRAIN, "--epochs", "1", "--name", "base", "--resume")
    assert ended.code == 0, ended.err
    assert "is finished: nothing to do" in ended.err


@pytest.mark.parametrize("arguments", [["--yes"], ["--clean", "--json"]])
def test_wrong_usage(arguments: list[str], cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt("runs", *arguments)
    assert ended.code == 2
    assert "as in: cxrlt runs --clean --yes" in ended.err
    assert not list(tmp_path.iterdir())


def test_a_workspace_without_runs(cxrlt: Run) -> None:
    ended = cxrlt("runs")
    assert (ended.code, ended.out) == (0, "")
    assert "next: cxrlt train" in ended.err
