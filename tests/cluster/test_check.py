"""A look at a machine before a job is submitted."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from conftest import Run

from cxrlt_cli.cluster import check
from cxrlt_cli.model.encoder import VisualEncoder

ALL = ["workspace", "dataset", "images", "classes", "space", "shared memory", "locks", "cores", "GPU", "versions"]


def _told(cxrlt: Run, *arguments: object) -> tuple[int, dict[str, dict[str, str]]]:
    """What is found where no ImageNet weights are needed, unless `--backbone` names some."""
    backbone = [] if "--backbone" in arguments else ["--backbone", "none"]
    ended = cxrlt("check", "--json", *backbone, *arguments)
    return ended.code, json.loads(ended.out)


def test_a_workspace_that_is_ready(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    code, found = _told(cxrlt, "--space", "0.001", "--encoder", "ngram")
    assert code == 0, found
    assert [what for what in found if what != "encoder ngram"] == ALL
    assert all(row["state"] in ("ok", "warning") for row in found.values())
    assert found["dataset"]["found"] == "96 images (48 train, 24 val, 24 test)"
    ended = cxrlt("check", "--space", "0.001", "--backbone", "none")
    assert ended.code == 0
    assert [line.split("  ")[0] for line in ended.out.splitlines()] == ALL
    assert not list(tmp_path.glob(".cxrlt*")), "nothing is left"


@pytest.mark.parametrize(
    ("absent", "arguments", "what", "says"),
    [
        ("dataset.parquet", [], "dataset", "dataset.parquet is not there"),
        ("images/pictures.h5", [], "images", "pictures.h5"),
        ("label_embeddings.parquet", [], "classes", "cxrlt embed-labels"),
        ("", ["--space", "1e9"], "space", "fewer than 1e+09"),
        ("", ["--backbone", "resnet50"], "backbone resnet50", "cxrlt fetch --backbone resnet50"),
        ("", ["--encoder", "pubmedbert"], "encoder pubmedbert", "cxrlt fetch --encoder pubmedbert"),
        ("", ["--workspace", "nowhere"], "workspace", "is not a folder"),
    ],
)
@pytest.mark.usefixtures("dataset")
def test_what_would_stop_a_training_is_named(
    absent: str, arguments: list[str], what: str, says: str, cxrlt: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cache in ("HF_HOME", "TORCH_HOME"):
        monkeypatch.setenv(cache, "empty")
    if absent:
        Path(absent).unlink()
    code, found = _told(cxrlt, "--space", "0.001", *arguments)
    assert code == 2
    assert found[what]["state"] == "error"
    assert says in found[what]["found"]


def test_the_imagenet_weights_of_the_default_encoder_must_be_there(
    cxrlt: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    ended = cxrlt("check", "--space", "0.001")
    assert ended.code == 2
    assert "not ready for a training: backbone resnet50" in ended.err
    assert "cxrlt fetch --backbone resnet50" in ended.out
    file = tmp_path / "torch/hub/checkpoints/resnet50-11ad3fa6.pth"
    file.parent.mkdir(parents=True)
    file.touch()
    ended = cxrlt("check", "--space", "0.001")
    assert ended.code == 0, ended.err
    assert str(file) in ended.out


def test_classes_without_an_embedding(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("Mass\nNodule\n")
    assert cxrlt("embed-labels", "--encoder", "ngram", "--label-space", tmp_path / "other.txt", "--overwrite").code == 0
    code, found = _told(cxrlt, "--space", "0.001")
    assert code == 2
    assert "no embedding for Cardiomegaly" in found["classes"]["found"]


def test_a_package_that_is_too_old(cxrlt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["numpy>=99", "no-such-package", 'elsewhere; extra == "test"']
    monkeypatch.setattr(check.metadata, "requires", lambda _: wanted)
    _, found = _told(cxrlt)
    assert found["versions"] == {
        "state": "error",
        "found": f"numpy {np.__version__} is not >=99; no-such-package is not installed",
    }


def test_little_shared_memory_and_no_locks_are_warnings(
    cxrlt: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(check, "lock_file", without)
    usage = shutil.disk_usage(tmp_path)
    little = usage._replace(free=64 << 20)
    monkeypatch.setattr(check.shutil, "disk_usage", lambda path: little if str(path) == "/dev/shm" else usage)
    code, found = _told(cxrlt, "--space", "0.001")
    assert code == 0
    assert found["locks"]["state"] == found["shared memory"]["state"] == "warning"


def test_stored_features_are_checked_instead_of_pixels(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    network = VisualEncoder("timm:test_resnet").network
    torch.save(network.state_dict(), tmp_path / "encoder.pth")
    made = cxrlt("features", "--encoder", "timm:test_resnet", "--weights", tmp_path / "encoder.pth", "--name", "maps")
    assert made.code == 0, made.err

    def looked_at(name: str) -> dict[str, dict[str, str]]:
        told: dict[str, dict[str, str]] = json.loads(cxrlt("check", "--json", "--space", "0.001", "--features", name).out)
        return told

    found = looked_at("maps")
    assert list(found) == [what.replace("images", "features") for what in ALL], "weights of a file need no fetching"
    assert found["features"]["state"] == "ok"
    assert "of timm:test_resnet" in found["features"]["found"]
    assert "nearest is 'maps'" in looked_at("map")["features"]["found"]
    (tmp_path / "images/pictures.h5").unlink()
    state, text = looked_at("maps")["features"].values()
    assert state == "warning"
    assert "only the settings of the pixels were compared: images/pictures.h5 is not on this machine" in text
    (tmp_path / "encoder.pth").unlink()
    state, text = looked_at("maps")["features"].values()
    assert state == "error"
    assert "encoder.pth is not there any more: give cxrlt train --weights its new place" in text
    with h5py.File(tmp_path / "features/maps.h5", "r+") as file:
        file["features"][0] = 0
    assert "features were changed after they were stored" in looked_at("maps")["features"]["found"]
