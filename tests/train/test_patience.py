"""`cxrlt train --patience`: a run ends early, and goes on with a larger patience."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from conftest import TRAIN, Run

from cxrlt_cli.artifacts.run import RunStatus, read_checkpoint
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.train import checkpointing
from cxrlt_cli.train.patience import is_finished, patience_ended
from cxrlt_cli.train.train import settings_of

EPOCHS = ["--epochs", "4"]
#: Validation mAP of the epochs: the best one is the second.
SCORES = [0.25, 0.5, 0.375, 0.75]


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation finds SCORES, whatever the network is."""
    validate = checkpointing.validate

    def scored(training: Any, *others: Any) -> Any:
        found = validate(training, *others)
        history = training.run_log.run.history
        validated = len(history.read_text().splitlines()) if history.exists() else 0
        return found and replace(found, ap=np.full_like(found.ap, SCORES[validated]))

    monkeypatch.setattr(checkpointing, "validate", scored)


def _status(run: Path) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads((run / "status.json").read_text()))


def _model(run: Path) -> dict[str, torch.Tensor]:
    return cast("dict[str, torch.Tensor]", read_checkpoint(run / "last.pt", ["model"])["model"])


@pytest.mark.usefixtures("scores", "dataset")
def test_a_run_ends_by_patience_and_goes_on_with_more_as_if_it_had_not_ended(cxrlt: Run, tmp_path: Path) -> None:
    command, run = [*TRAIN, *EPOCHS, "--name", "early"], tmp_path / "runs/early"
    ended = cxrlt(*command, "--patience", "1")
    assert ended.code == 0, ended.err
    reason = "--patience 1: no better validation mAP since epoch 2, stopped after 3 of 4 epochs"
    assert reason in ended.err
    assert reason in (run / "log.txt").read_text()
    status = _status(run)
    assert (status["state"], status["epoch"], status["best_epoch"], status["best_mAP"]) == ("done", 3, 2, 0.5)
    assert status["reason"] == reason
    assert json.loads((run / "config.json").read_text())["options"]["patience"] == 1

    ended = cxrlt(*command, "--patience", "1", "--resume")
    assert ended.code == 0
    assert "is finished: nothing to do" in ended.err

    ended = cxrlt(*command, "--patience", "2", "--resume")
    assert ended.code == 0, ended.err
    status = _status(run)
    assert (status["epoch"], status["best_epoch"]) == (4, 4)
    assert "reason" not in status
    assert json.loads((run / "config.json").read_text())["options"]["patience"] == 2
    assert cxrlt(*command[:-1], "whole").code == 0
    early, whole = _model(run), _model(tmp_path / "runs/whole")
    assert early.keys() == whole.keys()
    assert all(torch.equal(early[name], whole[name]) for name in whole), "the learning rate follows --epochs"


@pytest.mark.usefixtures("scores", "dataset")
def test_a_run_without_its_state_cannot_go_on(cxrlt: Run, tmp_path: Path) -> None:
    command = [*TRAIN, *EPOCHS, "--name", "early"]
    assert cxrlt(*command, "--patience", "1").code == 0
    (tmp_path / "runs/early/last.pt").unlink()
    assert cxrlt(*command, "--patience", "1", "--resume").code == 0
    before = (tmp_path / "runs/early/config.json").read_bytes()
    ended = cxrlt(*command, "--patience", "4", "--resume")
    assert ended.code == 2
    assert "last.pt is missing: it cannot be continued" in ended.err
    assert (tmp_path / "runs/early/config.json").read_bytes() == before


@pytest.mark.parametrize(
    ("patience", "epochs", "best", "ended"),
    [(0, 9, 1, False), (3, 3, 1, False), (3, 4, 1, True), (3, 9, 9, False), (1, 2, 1, True)],
)
def test_patience_by_hand(patience: int, epochs: int, best: int, ended: bool) -> None:
    loop = settings_of(TrainConfig(epochs=10, patience=patience)).loop
    state = SimpleNamespace(history=[{}] * epochs, best=(0.5, best))
    assert patience_ended(loop, cast("Any", state)) == ended
    status = RunStatus("done", epoch=epochs, best_epoch=best)
    assert is_finished(status, 10, patience) == ended
    assert is_finished(status, epochs, patience), "all epochs are trained"
    assert not is_finished(replace(status, state="stopped"), epochs, patience)


def test_a_negative_patience_is_refused(cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt("train", "--patience", "-1")
    assert ended.code == 2
    assert "--patience -1" in ended.err
    assert not list(tmp_path.iterdir())
