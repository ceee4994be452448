"""Stops at chosen moments, steps that are not finite, and what is kept meanwhile."""

import json
import os
import signal
import sys
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TRAIN, TRAIN_BY_IMAGE, Run, ended, start_ranks

from cxrlt_cli.artifacts.run import Run as RunFolder
from cxrlt_cli.artifacts.run import read_checkpoint
from cxrlt_cli.train import batch_pipeline, loop, setup, validate
from cxrlt_cli.train.first_checks import refuse_lost_state

#: Three steps an epoch; with statistics of batch norms, and dropout.
SMALL = [*TRAIN, "--epochs", "3"]


def _history(run: Path) -> list[dict[str, Any]]:
    epochs = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{name: value for name, value in epoch.items() if name != "speed"} for epoch in epochs]


def _state(run: Path) -> str:
    return str(json.loads((run / "status.json").read_text())["state"])


def _same(first: Path, second: Path) -> bool:
    """Whether two runs ended with equal weights, averages, optimizers and histories."""

    def equal(one: Any, other: Any) -> bool:
        if isinstance(one, torch.Tensor):
            return torch.equal(one, other)
        if isinstance(one, dict):
            return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
        return bool(one == other)

    a, b = (read_checkpoint(run / "last.pt", ["model"]) for run in (first, second))
    kinds = ("model", "average", "optimizer", "best")
    return _history(first) == _history(second) and all(equal(a.get(kind), b.get(kind)) for kind in kinds)


def _at_call(number: int, of: Callable[..., Any], does: Callable[[], object]) -> Callable[..., Any]:
    """`of`, which does something else first when it is called for the `number`th time (from 0)."""
    calls = iter(range(1_000_000))

    def wrapped(*arguments: Any, **named: Any) -> Any:
        if next(calls) == number:
            does()
        return of(*arguments, **named)

    return wrapped


#: Moment -> the function that is called then, and at which of its calls it is.
MOMENTS = {
    "setting up": (setup, "make_network", 0),
    "warm-up": (loop, "lr_at", 0),
    "middle of an epoch": (loop, "lr_at", 4),
    "first step of an epoch": (loop, "lr_at", 6),
    "validation": (validate, "plain_input", 2),
    "last validation": (validate, "plain_input", 4),
}


_EMA = ["--average", "ema:0.9", "--mixup", "0.4"]
_SWA = ["--average", "swa:0.3", "--loss", "ldam", "--reweight", "effective:0.9", "--reweight-from", "0.5"]


@pytest.mark.parametrize(
    ("tricks", "moments"),
    [([], ["middle of an epoch"]), (_EMA, ["setting up", "first step of an epoch", "validation"]), (_SWA, list(MOMENTS))],
    ids=["plain", "EMA and MixUp", "SWA and LDAM-DRW"],
)
def test_stopped_at_a_chosen_moment_and_resumed_it_ends_bit_equal(
    tricks: list[str], moments: list[str], cxrlt: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*SMALL, *tricks]
    undisturbed = tmp_path / "runs/undisturbed"
    assert cxrlt(*command, "--name", "undisturbed").code == 0
    for sent, moment in zip(cycle([signal.SIGUSR1, signal.SIGTERM]), moments, strict=False):
        module, function, number = MOMENTS[moment]
        run = tmp_path / "runs" / moment

        def send(sent: signal.Signals = sent) -> None:
            os.kill(os.getpid(), sent)

        with monkeypatch.context() as patch:
            patch.setattr(module, function, _at_call(number, getattr(module, function), send))
            stopped = cxrlt(*command, "--name", moment)
        assert stopped.code == (75 if sent == signal.SIGUSR1 else 143), (moment, stopped.err)
        if moment == "setting up":
            assert not run.exists()
        else:
            assert _state(run) == "stopped", moment
        resumed = cxrlt(*command, "--name", moment, "--resume")
        assert resumed.code == 0, resumed.err
        assert ("resumed after" in resumed.err) == (moment != "setting up")
        assert _same(undisturbed, run), moment


def test_a_step_that_is_not_finite_is_told_and_skipped(
    cxrlt: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, factor = batch_pipeline.make_loss, iter([1.0, 1.0, float("nan"), 1.0, float("inf"), 1.0, 1.0, 1.0, 1.0])

    def broken(*arguments: Any) -> Any:
        loss = make(*arguments)
        return lambda *given: loss(*given) * next(factor)

    monkeypatch.setattr(batch_pipeline, "make_loss", broken)
    done = cxrlt(*SMALL, "--average", "ema:0.9")
    assert done.code == 0, done.err
    run = tmp_path / "runs/tiny_net"
    log = (run / "log.txt").read_text()
    assert "the loss is nan at step 2 (images i0" in log
    assert "the loss is inf at step 4" in log
    assert log.count(": skipped") == 2
    assert all(0 < epoch["train_loss"] < 10 for epoch in _history(run)), "of the steps that had one"


def test_a_gradient_that_is_not_finite_moves_no_weight(
    cxrlt: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> torch.Tensor:
        return torch.tensor(float("nan"))

    monkeypatch.setattr(loop.nn.utils, "clip_grad_norm_", unknown)
    assert cxrlt(*SMALL, "--epochs", "1", "--name", "skipped").code == 0
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert _history(tmp_path / "runs/skipped")[0]["train_loss"] is None
    assert (tmp_path / "runs/skipped/log.txt").read_text().count("the gradient's norm is nan at step") == 3
    content = read_checkpoint(tmp_path / "runs/skipped/last.pt", ["optimizer", "skipped"])
    moments = [value for entry in content["optimizer"]["state"].values() for value in entry.values()]
    assert moments
    assert not any(value.any() for value in moments)
    assert content["skipped"] == 3, "a run that is resumed counts on"


def test_ranks_that_diverge_fail_together(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    ranks = ended(
        start_ranks(2, *TRAIN_BY_IMAGE, "--epochs", "2", "--lr", "1e30", "--batch-size", "2", "--warmup", "0", cwd=tmp_path)
    )
    assert [rank.code for rank in ranks] == [2, 2], ranks
    assert "and in the 19 steps before it" in ranks[0].err
    assert not [line for line in ranks[1].err.splitlines() if not line.startswith("[rank1]:[W")], "but for torch's own warnings"


def test_tensorboard_that_is_not_installed(cxrlt: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    ended = cxrlt(*SMALL, "--tensorboard")
    assert ended.code == 2
    assert 'pip install "cxrlt[tensorboard]"' in ended.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("lost", ["last.pt", "config.json"])
def test_a_run_whose_state_is_gone_is_not_begun_again(lost: str, cxrlt: Run, tmp_path: Path) -> None:
    """Needs no data: it is refused before any is read."""
    run = tmp_path / "runs/a"
    run.mkdir(parents=True)
    (run / "status.json").write_text('{"state": "stopped", "step": 7}')
    for name in {"config.json", "last.pt", "best.pt", "history.jsonl"} - {lost}:
        (run / name).write_text("{}")
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    ended = cxrlt("train", "--name", "a", "--resume")
    assert ended.code == 2
    assert f"{lost} is missing" in ended.err
    assert "--overwrite" in ended.err
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


@pytest.mark.parametrize(
    ("files", "status"),
    [
        (["config.json"], {"state": "running", "step": 0}),
        (["config.json"], {"state": "failed", "step": 3}),  # in its first epoch
        (["config.json", "best.pt", "history.jsonl"], {"state": "running", "step": 0}),  # killed before the first last.pt
        (["config.json", "best.pt", "history.jsonl"], {"state": "done", "step": 9}),
        (["config.json", "best.pt", "history.jsonl", "last.pt"], {"state": "stopped", "step": 9}),
        ([], None),
    ],
)
def test_runs_that_can_be_resumed_or_begun(files: list[str], status: dict[str, Any] | None, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).touch()
    if status:
        (tmp_path / "status.json").write_text(json.dumps(status))
    refuse_lost_state(RunFolder(tmp_path))
