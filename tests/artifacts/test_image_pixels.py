"""The image file: what is on disk, read back by h5py, and what happens when it is harmed."""

import multiprocessing
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

from cxrlt_cli.artifacts.image_file import create_images, read_layout
from cxrlt_cli.artifacts.image_pixels import ImageReader
from cxrlt_cli.artifacts.row_access import RowWriter
from cxrlt_cli.artifacts.row_layout import Layout, read_done
from cxrlt_cli.errors import UserError

IDS = ["a", "bb", "ümlaut"]
SETTINGS = {"size": 8, "fit": "pad", "resample": "lanczos"}
PIXELS = np.random.default_rng(0).integers(0, 255, (3, 8, 8), np.uint8)
HASHES = np.arange(15, dtype=np.uint64).reshape(3, 5)


def _made(path: Path, done: tuple[int, ...] = (0, 1, 2)) -> Layout:
    layout = create_images(path, IDS, 8, SETTINGS, {"kind": "table"})
    writer = RowWriter(layout)
    for row in done:
        writer.write(row, PIXELS[row], HASHES[row])
    writer.mark_done(list(done))
    writer.close()
    return layout


def test_any_hdf5_reader_finds_what_was_written(tmp_path: Path) -> None:
    _made(tmp_path / "x.h5", done=(0, 2))
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["images"].shape == (3, 8, 8)
        assert file["images"].chunks is None
        assert (file["images"][[0, 2]] == PIXELS[[0, 2]]).all()
        assert file["id"].asstr()[:].tolist() == IDS
        assert file["done"][:].tolist() == [1, 0, 1]
        assert file.attrs["settings.size"] == 8


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    _made(tmp_path / "x.h5")
    _made(tmp_path / "y.h5")
    assert (tmp_path / "x.h5").read_bytes() == (tmp_path / "y.h5").read_bytes()


def test_space_is_taken_at_the_start(tmp_path: Path) -> None:
    create_images(tmp_path / "x.h5", [f"i{number}" for number in range(1000)], 64, {**SETTINGS, "size": 64}, {})
    assert (tmp_path / "x.h5").stat().st_blocks * 512 >= 1000 * 64 * 64


def test_reading_in_any_order_with_repeats(tmp_path: Path) -> None:
    _made(tmp_path / "x.h5")
    reader = ImageReader(tmp_path / "x.h5")
    rows = np.array([2, 0, 2, 1])
    assert (reader.read(rows) == PIXELS[rows]).all()


def test_a_row_without_pixels_is_never_a_black_image(tmp_path: Path) -> None:
    _made(tmp_path / "x.h5", done=(0, 1))
    with pytest.raises(UserError, match="no pixels for ümlaut"):
        ImageReader(tmp_path / "x.h5").read(np.array([0, 2]))


def _read_in_child(reader: ImageReader, rows: np.ndarray) -> np.ndarray:
    return reader.read(rows)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_an_open_reader_survives_in_worker_processes(method: str, tmp_path: Path) -> None:
    _made(tmp_path / "x.h5")
    reader = ImageReader(tmp_path / "x.h5")
    reader.read(np.array([0]))
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.starmap(_read_in_child, [(reader, np.array([row])) for row in (2, 1, 0)])
    assert (np.concatenate(found) == PIXELS[[2, 1, 0]]).all()


@pytest.mark.parametrize("keep", [0, 100, 500, -65])
def test_a_file_that_was_cut_is_refused(keep: int, tmp_path: Path) -> None:
    _made(tmp_path / "x.h5")
    content = (tmp_path / "x.h5").read_bytes()
    (tmp_path / "x.h5").write_bytes(content[:keep])
    with pytest.raises(UserError, match=r"x\.h5") as caught:
        read_layout(tmp_path / "x.h5")
    assert "cxrlt cache" in caught.value.hint


def test_a_file_that_is_cut_while_it_is_read_is_refused(tmp_path: Path) -> None:
    layout = _made(tmp_path / "x.h5")
    reader = ImageReader(tmp_path / "x.h5")
    with (tmp_path / "x.h5").open("rb+") as file:
        file.truncate(layout.parts[0].offset + 70)
    with pytest.raises(UserError, match="cut short"):
        reader.read(np.array([1]))


def test_hdf5_of_another_origin_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["images"] = PIXELS
    with pytest.raises(UserError, match="another origin"):
        read_layout(tmp_path / "x.h5")
    with pytest.raises(UserError, match="is not there"):
        read_layout(tmp_path / "y.h5")


def test_altered_datasets_are_refused(tmp_path: Path) -> None:
    _made(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        del file["done"]
        file["done"] = np.ones(2, np.uint8)
    with pytest.raises(UserError, match="altered"):
        read_layout(tmp_path / "x.h5")


def test_pixels_of_another_shape_are_a_defect_of_ours(tmp_path: Path) -> None:
    writer = RowWriter(_made(tmp_path / "x.h5"))
    with pytest.raises(ValueError, match="row 0"):
        writer.write(0, PIXELS[0, :4], HASHES[0])
    with pytest.raises(ValueError, match="row 0"):
        writer.write(0, PIXELS[0].astype(np.int16), HASHES[0])


def test_a_full_disk_is_said_before_any_pixel_is_decoded(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(mount)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        with pytest.raises(UserError, match="GB free"):
            create_images(mount / "x.h5", IDS * 100, 512, {**SETTINGS, "size": 512}, {})
        assert not list(mount.iterdir())
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_done_rows_are_read_from_disk(tmp_path: Path) -> None:
    layout = _made(tmp_path / "x.h5", done=(1,))
    assert read_done(layout).tolist() == [False, True, False]
