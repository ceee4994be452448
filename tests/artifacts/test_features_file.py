"""The features file: maps in place, their hashes, and what happens when it is harmed."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from cxrlt_cli.artifacts.features_file import (
    FeatureReader,
    FeatureSettings,
    FeatureSource,
    create_features,
    read_features,
)
from cxrlt_cli.artifacts.origin import Origin
from cxrlt_cli.artifacts.row_access import RowWriter, content_hash
from cxrlt_cli.errors import UserError

SETTINGS = FeatureSettings(
    encoder="hf:some/encoder",
    weights="pretrained",
    weights_sha256="0" * 64,
    origin=Origin("some/encoder", "abc", "mit"),
    stride=32,
    grid=2,
    views=3,
    seed=0,
    precision="fp32",
    pixels={"size": 8, "fit": "pad"},
)
SOURCE = FeatureSource("dataset", "dataset.parquet", "1" * 64)
MAPS = np.random.default_rng(0).normal(size=(4, 3, 5, 2, 2)).astype(np.float16)


def made(path: Path) -> Path:
    """Four images with three views each."""
    file = create_features(path, list("abcd"), (5, 2, 2), SETTINGS, SOURCE)
    writer = RowWriter(file.layout)
    for row, views in enumerate(MAPS):
        writer.write(row, views, np.array([row, *map(content_hash, views)], dtype=np.uint64))
    writer.mark_done([0, 1, 2, 3])
    writer.close()
    return path


def test_what_was_written_is_read_in_any_order_and_view(tmp_path: Path) -> None:
    found = read_features(made(tmp_path / "x.h5"))
    assert (found.settings, found.source, found.map_shape) == (SETTINGS, SOURCE, (5, 2, 2))
    reader = FeatureReader(found)
    rows, views = np.array([3, 0, 3, 1]), np.array([2, 0, 1, 2])
    assert (reader.read(rows, views) == MAPS[rows, views]).all()
    assert reader.pixel_hashes.tolist() == [0, 1, 2, 3]


def test_a_changed_map_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = made(tmp_path / "x.h5")
    with h5py.File(path, "r+") as file:
        file["features"][2, 1, 0, 0, 0] += 1
    reader = FeatureReader(read_features(path))
    rows = np.arange(4)
    reader.read(rows, np.zeros_like(rows))
    with pytest.raises(UserError, match=r"x\.h5 is damaged: features were changed after they were stored: c"):
        reader.read(rows, np.ones_like(rows))


def _replaced(name: str, values: np.ndarray) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = values

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.attrs.update({"settings.pixels": "{"}),
        lambda file: file.attrs.update({"settings.pixels": "{}"}),
        lambda file: file.attrs.update({"settings.origin": '{"repository": 1}'}),
        lambda file: file.attrs.update({"settings.views": 2}),
        lambda file: file.attrs.update({"settings.grid": 3}),
        lambda file: file.attrs.update({"settings.stride": "x"}),
        lambda file: file.attrs.__delitem__("settings.encoder"),
        lambda file: file.attrs.update(version=2),
        lambda file: file.attrs.update(format="cxrlt images"),
        _replaced("features", MAPS.astype(np.float32)),
        _replaced("features", MAPS[:3]),
        _replaced("features", MAPS[:, 0]),
        _replaced("hash", np.zeros((4, 3), np.uint64)),
    ],
)
def test_a_harmed_file_is_refused_by_name(change: Callable[[h5py.File], None], tmp_path: Path) -> None:
    path = made(tmp_path / "x.h5")
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(UserError, match=r"x\.h5") as caught:
        read_features(path)
    assert "cxrlt features" in caught.value.hint


@pytest.mark.parametrize("keep", [0, 100, 500, -65])
def test_a_cut_file_is_refused_by_name(keep: int, tmp_path: Path) -> None:
    path = made(tmp_path / "x.h5")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"x\.h5"):
        read_features(path)
