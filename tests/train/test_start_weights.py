"""`--weights auto`: what it comes to, what is said of it, and that a resumed run keeps to it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from conftest import TRAIN, TRAIN_BY_IMAGE, Run, ended, start_ranks

from cxrlt_cli.artifacts.run import read_checkpoint
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.model.imagenet import _cached, _url
from cxrlt_cli.options import select
from cxrlt_cli.train.settings import StartSettings
from cxrlt_cli.train.start_weights import settled_weights

AUTO = [*TRAIN, "--encoder", "mobilenet_v3_small", "--weights", "auto", "--epochs", "1"]
WARNING = "warning: the encoder starts from random weights"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch's."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch"


def _fetched(name: str) -> Path:
    """A file in the cache, as if it was fetched."""
    path = _cached(_url(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(7)
    torch.save(getattr(torchvision.models, name)(weights=None).state_dict(), path)
    return path


def _described(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "config.json").read_text())
    return found


def test_auto_is_the_default_and_takes_what_was_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    assert TrainConfig().weights == "auto"
    path = _fetched("mobilenet_v3_small")
    assert settled_weights(select(StartSettings, TrainConfig(encoder="mobilenet_v3_small", freeze="encoder"))) == "imagenet"
    err = capsys.readouterr().err
    assert str(path) in err
    assert "warning" not in err
    assert settled_weights(select(StartSettings, TrainConfig(encoder="mobilenet_v3_small", weights="none"))) == "none"
    assert settled_weights(select(StartSettings, TrainConfig(encoder="mobilenet_v3_small", weights="x.pth"))) == "x.pth"
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("encoder", "says"),
    [("mobilenet_v3_small", "`cxrlt fetch --backbone mobilenet_v3_small`"), ("timm:test_convnext", "--weights FILE")],
)
def test_without_a_file_auto_is_random_with_one_warning(encoder: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert settled_weights(select(StartSettings, TrainConfig(encoder=encoder))) == "none"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(WARNING)
    assert says in lines[0]
    with pytest.raises(UserError, match="--freeze encoder needs pretrained weights") as caught:
        settled_weights(select(StartSettings, TrainConfig(encoder=encoder, freeze="encoder")))
    assert says.strip("`") in caught.value.hint


def test_an_encoder_that_does_not_exist_is_named_without_a_warning(cxrlt: Run, dataset: Path) -> None:
    said = cxrlt(*AUTO, "--encoder", "resnet81")
    assert said.code == 2
    assert "unknown --encoder 'resnet81'" in said.err
    assert WARNING not in said.err


def test_a_frozen_encoder_without_weights_leaves_no_run(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    said = cxrlt(*AUTO, "--freeze", "encoder")
    assert said.code == 2
    assert "--freeze encoder needs pretrained weights" in said.err
    assert not (tmp_path / "runs").exists()


def test_a_run_from_auto_equals_the_run_from_what_it_came_to(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    def trained(weights: str, name: str) -> dict[str, torch.Tensor]:
        said = cxrlt(*AUTO, "--weights", weights, "--name", name)
        assert said.code == 0, said.err
        assert said.err.count(WARNING) == (name == "auto-random")
        state: dict[str, torch.Tensor] = read_checkpoint(tmp_path / "runs" / name / "last.pt", ["model"])["model"]
        return state

    pairs = [(trained("auto", "auto-random"), trained("none", "random"))]
    _fetched("mobilenet_v3_small")
    pairs.append((trained("auto", "auto-imagenet"), trained("imagenet", "imagenet")))
    for auto, given in pairs:
        assert all(torch.equal(auto[key], given[key]) for key in given)
    key = "encoder.network.features.0.0.weight"
    assert not torch.equal(pairs[0][0][key], pairs[1][0][key])
    for name, weights in (("auto-random", "none"), ("auto-imagenet", "imagenet"), ("random", "none")):
        assert _described(tmp_path / "runs" / name)["encoder_weights"] == weights


def test_a_resumed_run_keeps_its_start_whatever_the_cache_holds_since(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    random, pretrained = tmp_path / "runs/random", tmp_path / "runs/pretrained"
    assert cxrlt(*AUTO, "--name", "random").code == 0
    path = _fetched("mobilenet_v3_small")
    assert cxrlt(*AUTO, "--name", "pretrained").code == 0
    before = {run: read_checkpoint(run / "last.pt", ["model"])["model"] for run in (random, pretrained)}
    for run in (random, pretrained):
        (run / "status.json").unlink()  # as if it was killed at its end
    assert cxrlt(*AUTO, "--name", "random", "--resume").code == 0
    path.unlink()
    said = cxrlt(*AUTO, "--name", "pretrained", "--resume")
    assert said.code == 0, said.err
    assert WARNING not in said.err
    for run, state in before.items():
        after = read_checkpoint(run / "last.pt", ["model"])["model"]
        assert all(torch.equal(after[key], state[key]) for key in state)
        assert _described(run)["encoder_weights"] == ("none" if run == random else "imagenet")


def test_a_run_that_was_killed_before_its_first_state_begins_as_it_was_decided(
    cxrlt: Run, dataset: Path, tmp_path: Path
) -> None:
    assert cxrlt(*AUTO, "--name", "whole").code == 0
    assert cxrlt(*AUTO, "--name", "early").code == 0
    early = tmp_path / "runs/early"
    for path in early.iterdir():
        if path.name != "config.json":
            path.unlink()
    _fetched("mobilenet_v3_small")
    said = cxrlt(*AUTO, "--name", "early", "--resume")
    assert said.code == 0, said.err
    whole, again = (read_checkpoint(tmp_path / f"runs/{name}/last.pt", ["model"])["model"] for name in ("whole", "early"))
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_one_of_several_ranks_warns(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    ranks = ended(start_ranks(2, *TRAIN_BY_IMAGE, "--batch-size", "16", "--weights", "auto", "--epochs", "1", cwd=tmp_path))
    assert [rank.code for rank in ranks] == [0, 0], [rank.err for rank in ranks]
    assert sum(rank.err.count(WARNING) for rank in ranks) == 1


def test_what_auto_came_to_is_reported(cxrlt: Run, dataset: Path) -> None:
    assert cxrlt(*AUTO).code == 0
    said = cxrlt("info", "runs/mobilenet_v3_small")
    assert said.code == 0, said.err
    assert "auto (none)" in said.out
