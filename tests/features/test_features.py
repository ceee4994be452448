"""`cxrlt features`: what is in the file, shards, kills, and what is refused."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import tiny_encoder  # noqa: F401 - makes `timm:tiny_golden` known
import torch
from conftest import Run
from torch.nn import functional

from cxrlt_cli.artifacts.dataset import read_dataset, write_dataset
from cxrlt_cli.artifacts.features_file import FeatureReader, read_feature_record, read_features
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.features.maps import MapMaker
from cxrlt_cli.model.encoder import VisualEncoder, encode


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of `timm:tiny_golden`; there are no others on this machine."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    torch.manual_seed(1)
    network = VisualEncoder("timm:tiny_golden").network
    network.norm.running_mean.normal_(std=0.1)
    torch.save(network.state_dict(), tmp_path / "tiny.pth")
    return tmp_path / "tiny.pth"


def command(weights: Path, *more: object) -> list[object]:
    return ["features", "--encoder", "timm:tiny_golden", "--weights", weights, "--batch-size", "16", "--name", "tiny", *more]


def _encoder(weights: Path) -> VisualEncoder:
    encoder = VisualEncoder("timm:tiny_golden").eval()
    encoder.network.load_state_dict(torch.load(weights))
    return encoder


def test_the_file_holds_the_maps_of_the_encoder(cxrlt: Run, dataset: Path, weights: Path, tmp_path: Path) -> None:
    ended = cxrlt(*command(weights, "--grid", 4, "--views", 3))
    assert ended.code == 0, ended.err
    found, images = read_dataset(dataset), DatasetImages(read_dataset(dataset))
    pixels = torch.from_numpy(images.read(np.arange(len(images))))
    expected = functional.avg_pool2d(encode(_encoder(weights), pixels), 2).numpy()
    with h5py.File(tmp_path / "features/tiny.h5") as file:
        assert file["features"].shape == (len(images), 3, 8, 4, 4)
        assert file["features"].dtype == np.float16
        assert file["id"].asstr()[:].tolist() == found.table["image_id"].tolist()
        np.testing.assert_allclose(file["features"][:, 0], expected, atol=2e-3)
        assert float(np.abs(file["features"][:, 1] - file["features"][:, 0]).max()) > 0.01
        assert float(np.abs(file["features"][:, 2] - file["features"][:, 1]).max()) > 0.01
        assert file.attrs["settings.grid"] == 4
        assert json.loads(file.attrs["settings.pixels"]) == found.settings
    record = read_feature_record(tmp_path / "features/tiny.h5")
    assert record is not None
    assert record.images == len(images)
    assert record.provenance.inputs[0].path == "dataset.parquet"
    described = cxrlt("info", "features/tiny.h5").out
    for text in (
        "feature maps",
        "8 x 4 x 4, float16, pooled",
        "the image and 2 augmented",
        "timm:tiny_golden",
        "cxrlt features",
    ):
        assert text in described
    assert json.loads(cxrlt("info", "features/tiny.h5", "--json").out)["settings"]["grid"] == 4


def test_the_images_of_a_cache(cxrlt: Run, dataset: Path, weights: Path, tmp_path: Path) -> None:
    assert cxrlt(*command(weights)).code == 0
    assert cxrlt(*command(weights, "images/pictures.h5", "--name", "all")).code == 0
    whole, some = (FeatureReader(read_features(tmp_path / f"features/{name}.h5")) for name in ("all", "tiny"))
    rows = np.array([whole.layout.ids.index(name) for name in some.layout.ids])
    zeros = np.zeros_like(rows)
    assert (whole.read(rows, zeros) == some.read(np.arange(len(rows)), zeros)).all()
    assert (whole.pixel_hashes[rows] == some.pixel_hashes).all()


@pytest.mark.parametrize(("how", "count"), [([], 3), (["--copy"], 3), (["--copy"], 1)], ids=["linked", "copied", "one shard"])
def test_joined_shards_are_as_of_one_job(
    how: list[str], count: int, cxrlt: Run, dataset: Path, weights: Path, tmp_path: Path
) -> None:
    more = ["--grid", "2", "--views", "2"]
    assert cxrlt(*command(weights, *more)).code == 0
    (tmp_path / "features/tiny.h5").rename(tmp_path / "one.h5")
    for index in range(count):
        assert cxrlt(*command(weights, *more, "--shard", f"{index}/{count}")).code == 0
    ended = cxrlt("join", "tiny", "--features", *how)
    assert ended.code == 0, ended.err
    one, joined = (FeatureReader(read_features(path)) for path in (tmp_path / "one.h5", tmp_path / "features/tiny.h5"))
    rows = np.random.default_rng(0).permutation(len(one.layout.ids))
    for view in (0, 1):
        views = np.full_like(rows, view)
        assert (one.read(rows, views) == joined.read(rows, views)).all()
    if how:
        assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "features/tiny.h5").read_bytes()
    second = cxrlt("join", "tiny", "--features")
    assert second.code == 2
    assert "exists" in second.err


def test_shards_that_differ_or_are_missing_are_not_joined(cxrlt: Run, dataset: Path, weights: Path, tmp_path: Path) -> None:
    assert cxrlt(*command(weights, "--shard", "0/2")).code == 0
    ended = cxrlt("join", "tiny", "--features")
    assert ended.code == 2
    assert "1 of 2 shards are missing: 1" in ended.err
    assert "cxrlt features … --shard 1/2 --resume" in ended.err
    assert cxrlt(*command(weights, "--shard", "1/2", "--seed", "5")).code == 0
    ended = cxrlt("join", "tiny", "--features")
    assert ended.code == 2
    assert "seed 0 there, 5 here" in ended.err
    shutil.copy(tmp_path / "features/tiny.shard-00000-of-00002.h5", tmp_path / "features/tiny.shard-00001-of-00002.h5")
    ended = cxrlt("join", "tiny", "--features")
    assert ended.code == 2
    assert "is not shard 1/2, as its name says" in ended.err
    assert not (tmp_path / "features/tiny.h5").exists()


def _interrupted_by(end: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """After three batches `end` is called."""
    maps, calls = MapMaker.maps, []

    def counted(self: MapMaker, pixels: np.ndarray, rows: np.ndarray) -> np.ndarray:
        calls.append(rows)
        if len(calls) == 4:
            end()
        return maps(self, pixels, rows)

    monkeypatch.setattr(MapMaker, "maps", counted)


def test_a_killed_job_continues_and_leaves_the_same_bytes(
    cxrlt: Run, dataset: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cxrlt(*command(weights, "--views", "2")).code == 0
    (tmp_path / "features/tiny.h5").rename(tmp_path / "one.h5")
    monkeypatch.setattr("cxrlt_cli.features.features._SECONDS_BETWEEN_MARKS", 0.0)
    child = os.fork()
    if not child:  # killed: nothing that Python would do at its end is done
        _interrupted_by(lambda: os._exit(9), monkeypatch)
        cxrlt(*command(weights, "--views", "2"))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert not (tmp_path / "features/tiny.h5").exists()
    assert cxrlt(*command(weights, "--views", "2")).code == 2, "it says --resume"
    again = cxrlt(*command(weights, "--views", "2", "--resume"))
    assert again.code == 0, again.err
    assert "48 of 96 images are done, 48 to do" in again.err
    assert (tmp_path / "features/tiny.h5").read_bytes() == (tmp_path / "one.h5").read_bytes()
    assert "2 views of 96 images" in cxrlt(*command(weights, "--views", "2", "--resume")).err, "nothing is left to do"


def test_a_signal_stops_it_after_a_batch(
    cxrlt: Run, dataset: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        _interrupted_by(lambda: os.kill(os.getpid(), signal.SIGUSR1), patch)
        ended = cxrlt(*command(weights))
    assert ended.code == 75
    assert "continue with --resume" in ended.err
    assert "64 of 96 images are done" in cxrlt(*command(weights, "--resume")).err


def test_two_jobs_do_not_write_one_file(
    cxrlt: Run, dataset: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = []
    _interrupted_by(lambda: second.append(cxrlt(*command(weights, "--resume"))), monkeypatch)
    assert cxrlt(*command(weights)).code == 0
    assert second[0].code == 2
    assert "another process is writing this" in second[0].err


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--grid", "9"], "--grid 9 is larger than the map of timm:tiny_golden, 8 x 8 cells"),
        (["--grid", "-1"], "--grid -1 is negative"),
        (["--views", "0"], "--views 0"),
        (["--weights", "none"], "features of random weights are of no use"),
        (["--encoder", "resnet18", "--weights", "auto"], "cxrlt features needs pretrained weights"),
        (["--precision", "fp16", "--device", "cpu"], "--precision fp16 needs a GPU"),
        (["--shard", "2/2"], "--shard '2/2' is not I/N"),
        (["nowhere.parquet"], "nowhere.parquet is not there"),
        (["images/nowhere.h5"], "images/nowhere.h5 is not there"),
        (["--resume", "--overwrite"], "exclude each other"),
    ],
)
def test_bad_input_ends_in_one_message(
    more: list[str], says: str, cxrlt: Run, dataset: Path, weights: Path, tmp_path: Path
) -> None:
    ended = cxrlt(*command(weights, *more))
    assert ended.code == 2
    assert says in ended.err
    assert not (tmp_path / "features").exists()


def test_a_file_that_was_started_differently_is_not_resumed(
    cxrlt: Run, dataset: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cxrlt(*command(weights)).code == 0
    before = (tmp_path / "features/tiny.h5").read_bytes()
    write_dataset(replace(read_dataset(dataset).rows(np.arange(90)), path=tmp_path / "fewer.parquet"))
    for more, says in ((["--grid", "2"], "grid was 0, is 2"), (["fewer.parquet"], "the images are others")):
        ended = cxrlt(*command(weights, *more, "--resume"))
        assert ended.code == 2
        assert says in ended.err
    state = torch.load(weights)
    torch.save({key: value * 2 for key, value in state.items()}, weights)
    ended = cxrlt(*command(weights, "--resume"))
    assert "weights_sha256 was" in ended.err
    assert (tmp_path / "features/tiny.h5").read_bytes() == before


def test_changed_pixels_and_values_beyond_float16_are_named(cxrlt: Run, dataset: Path, weights: Path, tmp_path: Path) -> None:
    state = torch.load(weights)
    torch.save({**state, "second.bias": state["second.bias"] + 1e6}, tmp_path / "large.pth")
    ended = cxrlt(*command(tmp_path / "large.pth"))
    assert ended.code == 2
    assert "16 images are not finite in float16" in ended.err
    with h5py.File(tmp_path / "images/pictures.h5", "r+") as file:
        file["images"][7, 3, 3] += 1
    ended = cxrlt(*command(weights, "--overwrite"))
    assert ended.code == 2
    assert "pixels were changed after they were cached: i0007" in ended.err
