"""`cxrlt export`: one file for other tools, and the script beside it."""

import csv
import json
import os
import subprocess
import sys
import zipfile
from importlib.resources import files
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CLASSES, Run
from PIL import Image, ImageOps
from scipy.ndimage import gaussian_filter

from cxrlt_cli.artifacts.calibration import read_calibration
from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.predictions import read_predictions
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.errors import UserError
from cxrlt_cli.predict.merge import merge_logits
from cxrlt_cli.preprocess.settings import PixelSettings, read_square
from cxrlt_cli.scores.apply_calibration import calibrated
from cxrlt_cli.share.export import compared
from cxrlt_cli.share.formats import KEY, torch_scores
from cxrlt_cli.share.graph import merged

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
needs_onnx = pytest.mark.skipif(any(find_spec(name) is None for name in PACKAGES), reason="cxrlt[onnx] is not installed")


def _squares(workspace: Path) -> tuple[np.ndarray, list[str]]:
    """The squares of the test split, and their ids."""
    part = read_dataset(workspace / "dataset.parquet").split("test")
    return DatasetImages(part).read(np.arange(len(part.table))), list(part.table["image_id"])


def _of_this_machine(workspace: Path) -> list[bytes]:
    return [os.fsencode(path) for path in (workspace, Path(sys.prefix), Path(__file__).parents[2])]


@needs_onnx
def test_onnx_gives_the_logits_of_predict_and_the_script_needs_no_cxrlt(cxrlt: Run, models: Path) -> None:
    ended = cxrlt("export", "a", "--calibrate", "a", "--evaluation", "a-test-a")
    assert ended.code == 0, ended.err
    assert cxrlt("predict", "a", "--name", "plain").code == 0
    import onnxruntime

    path = models / "exports/a.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    squares, ids = _squares(models)
    expected = read_predictions(models / "predictions/plain.parquet")
    assert expected.image_ids == ids
    for count in (1, 3, len(squares)):  # any batch size
        assert np.allclose(session.run(None, {"images": squares[:count]})[0], expected.logits[:count], atol=1e-4)
    about = json.loads(session.get_modelmeta().custom_metadata_map[KEY])
    assert about["classes"] == CLASSES
    assert about["pixels"]["size"] == 32
    assert about["calibration"]["fitted"] == read_calibration(models / "calibrations/a.json").fitted
    assert set(about["thresholds"]) <= set(CLASSES)
    assert about["thresholds"]
    content = path.read_bytes()
    assert not [path for path in _of_this_machine(models) if path in content]
    _check_script(cxrlt, models, about["thresholds"])


def _check_script(cxrlt: Run, workspace: Path, thresholds: dict[str, float]) -> None:
    """The script's table for two pictures that are no squares, against `predict --images`."""
    folder = workspace / "source/pictures"
    names = ["0001.png", "0002.png"]
    places = [str(Path(find_spec(name).origin).parents[1]) for name in ("numpy", "PIL", "onnxruntime")]  # type: ignore[union-attr, arg-type]
    alone = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(dict.fromkeys(places))}
    python = [sys.executable, "-S"]  # no .pth files: what is installed as editable is not found
    absent = subprocess.run(
        [*python, "-c", "import cxrlt_cli"], cwd=folder, env=alone, capture_output=True, text=True, check=False
    )
    assert "No module named 'cxrlt_cli'" in absent.stderr
    script = workspace / "exports/a.py"
    ended = subprocess.run([*python, script, *names], cwd=folder, env=alone, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    rows = list(csv.DictReader(StringIO(ended.stdout)))
    assert [(row["file"], row["class"]) for row in rows] == [(name, label) for name in names for label in CLASSES]
    assert cxrlt("predict", "a", "--images", folder, "--name", "folder").code == 0
    found = read_predictions(workspace / "predictions/folder.parquet")
    expected = np.concatenate([found.logits[[found.image_ids.index(name) for name in names]]])
    logits = np.array([float(row["logit"]) for row in rows], dtype=np.float32).reshape(2, -1)
    assert np.abs(logits - expected).max() < 1e-4
    right = calibrated(logits, CLASSES, read_calibration(workspace / "calibrations/a.json"))
    for row, logit in zip(rows, right.ravel(), strict=True):
        assert float(row["probability"]) == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-4)
        if row["class"] in thresholds:
            assert row["positive"] == str(int(float(row["probability"]) >= thresholds[row["class"]]))
        else:
            assert row["positive"] == ""


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    ("sides", "settings"),
    [
        ((256, 256), {"size": 128}),
        ((640, 768), {"size": 64}),
        ((300, 200), {"size": 64}),
        ((509, 611), {"size": 96}),
        ((1021, 773), {"size": 96, "fit": "crop"}),
        ((1021, 773), {"size": 96, "fit": "stretch", "window": "1,99"}),
        ((672, 672), {"size": 224}),
        ((700, 500), {"size": 96, "resample": "lanczos"}),
        ((60, 50), {"size": 96}),
    ],
)
def test_the_script_makes_the_square_of_the_cache(
    sides: tuple[int, int], settings: dict[str, Any], mode: str, suffix: str, tmp_path: Path
) -> None:
    text = files("cxrlt_cli.share").joinpath("templates/score_images.py").read_text(encoding="utf-8")
    made = PixelSettings(**settings)
    script: dict[str, Any] = {"np": np, "Image": Image, "ImageOps": ImageOps, "pixels": made.saved()}
    exec(text[text.index("def decoded(") : text.index("def calibrated(")], script)
    width, height = sides
    smooth = gaussian_filter(np.random.default_rng(0).normal(size=(height, width, 3)), (3, 3, 0))
    pixels = (smooth / np.abs(smooth).max() * 127 + 128).astype(np.uint8)
    path = tmp_path / f"picture.{suffix}"
    if suffix == "png":  # a radiograph has equal channels
        pixels[:, :, 1:] = pixels[:, :, :1]
    Image.fromarray(pixels if mode == "RGB" else pixels[:, :, 0]).save(path)
    expected = read_square(path, made)
    assert expected.std() > 5
    assert np.array_equal(script["square"](path)[0], expected)


def test_an_ensemble_as_a_program_of_torch(cxrlt: Run, models: Path) -> None:
    ended = cxrlt("export", "both", "--format", "torch")
    assert ended.code == 0, ended.err
    path = models / "exports/both.pt2"
    assert not path.with_suffix(".py").exists()
    assert cxrlt("predict", "--ensemble", "both").code == 0
    expected = read_predictions(models / "predictions/both-test.parquet").logits
    squares, _ = _squares(models)
    scores = torch_scores(path.read_bytes())
    for count in (1, 3, len(squares)):
        assert np.allclose(scores(squares[:count]), expected[:count], atol=1e-4)
    files = {f"{KEY}.json": ""}
    torch.export.load(path, extra_files=files)
    assert json.loads(files[f"{KEY}.json"])["members"] == ["a", "b"]
    with zipfile.ZipFile(path) as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    assert not [path for path in _of_this_machine(models) if path in content]
    again = cxrlt("export", "both", "--format", "torch")
    assert again.code == 2
    assert "exists" in again.err


@pytest.mark.parametrize("how", ["geomean", "mean", "logits"])
def test_merging_in_the_graph_is_that_of_predict(how: str) -> None:
    logits = np.random.default_rng(0).normal(0, 6, (3, 5, 4)).astype(np.float32)
    weights = np.array([0.2, 0.5, 0.3])
    found = merged(torch.from_numpy(logits), torch.from_numpy(weights)[:, None, None], how)
    assert np.allclose(found.numpy(), merge_logits(logits, how, weights), atol=1e-8)


@pytest.mark.parametrize("wrong", [2e-4, float("nan")])
def test_other_logits_are_refused(wrong: float) -> None:
    images, expected = np.zeros((20, 8, 8), np.uint8), np.zeros((20, 2), np.float32)
    assert compared(lambda part: np.full((len(part), 2), 5e-5, np.float32), images, expected) == pytest.approx(5e-5)
    with pytest.raises(UserError, match="not written"):
        compared(lambda part: np.full((len(part), 2), wrong, np.float32), images, expected)


def test_what_cannot_be_exported_is_refused_and_nothing_is_written(
    cxrlt: Run, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words, message in (
        (["c"], "'c' is no run"),
        (["b", "--calibrate", "none"], "is not there"),
        (["b", "--evaluation", "a-test-a"], "evaluates a with 1 view(s), the model is b"),
        (["a", "--evaluation", "a-test-a"], "with calibration a, --calibrate names none"),
        (["a", "--compare", "0"], "--compare 0"),
    ):
        ended = cxrlt("export", *words, "--format", "torch")
        assert ended.code == 2
        assert message in ended.err
    monkeypatch.setattr("cxrlt_cli.share.export.MOST_DIFFERENCE", -1.0)
    ended = cxrlt("export", "a", "--format", "torch")
    assert ended.code == 2
    assert "the exported model is not written" in ended.err
    assert not list((models / "exports").glob("*"))


def test_an_absent_package_is_named(cxrlt: Run, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxrlt_cli.share.formats.find_spec", lambda name: None if name == "onnxscript" else object())
    ended = cxrlt("export", "a")
    assert ended.code == 2
    assert "onnxscript" in ended.err
    assert "pip install 'cxrlt[onnx]'" in ended.err
