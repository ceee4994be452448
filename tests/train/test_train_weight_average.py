"""Averages of the weights, through the real command."""

import json
from pathlib import Path
from typing import Any

import torch
from conftest import TRAIN, Run

from cxrlt_cli.artifacts.run import read_checkpoint
from cxrlt_cli.config.train_grammar import AverageSpec
from cxrlt_cli.train.state import State
from cxrlt_cli.train.weight_average import average_epoch, begin_average


def _model(path: Path, key: str = "model") -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = read_checkpoint(path, [key])[key]
    return found


def _train(cxrlt: Run, *more: object) -> None:
    ended = cxrlt(*TRAIN, *more)
    assert ended.code == 0, ended.err


def test_swa_is_the_mean_of_the_last_epochs() -> None:
    """With 4 epochs and a share of 0.5 the weights after epochs 3 and 4 are averaged; before, the average follows them."""
    spec = AverageSpec("swa", 0.5)
    network: Any = torch.nn.Linear(3, 2)
    state = State(network, torch.optim.SGD(network.parameters()), torch.amp.GradScaler("cpu"), begin_average(spec, network))
    after = []
    for epoch in range(1, 5):
        torch.nn.init.normal_(network.weight)
        after.append(network.weight.detach().clone())
        state.epoch = epoch
        average_epoch(spec, 4, state)
        expected = after[-1] if epoch < 3 else torch.stack(after[2:]).mean(dim=0)
        torch.testing.assert_close(state.eval_model.weight, expected)


def test_averaging_changes_nothing_in_the_training_itself(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    _train(cxrlt, "--average", "swa:0.5", "--name", "swa")
    _train(cxrlt, "--name", "plain")
    averaged, plain = (_model(tmp_path / f"runs/{name}/last.pt") for name in ("swa", "plain"))
    assert all((averaged[name] == plain[name]).all() for name in plain)


def test_ema_is_what_best_keeps(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    options = ["--average", "ema:0.9", "--loss", "ldam", "--reweight", "tail:2", "--reweight-from", "0.5", "--cutmix", "1"]
    _train(cxrlt, *options, "--epochs", "3", "--name", "whole")
    content = read_checkpoint(tmp_path / "runs/whole/last.pt", ["average", "best", "epoch"])
    if content["best"][1] == content["epoch"]:
        best = _model(tmp_path / "runs/whole/best.pt")
        assert all((best[name] == content["average"][name]).all() for name in best)
    assert any((content["average"][name] != content["model"][name]).any() for name in content["model"])
    status = json.loads((tmp_path / "runs/whole/status.json").read_text())
    assert status["state"] == "done"
