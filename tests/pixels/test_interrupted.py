"""`cxrlt cache` interrupted: by kills at any moment and by signals."""

import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import CACHE, CLASSES, start
from PIL import Image

from cxrlt_cli.artifacts.images import ImageReader
from cxrlt_cli.artifacts.source_table import read_source_table
from cxrlt_cli.pixels.settings import PixelSettings, read_square


def _cache(folder: Path) -> list[object]:
    return [*CACHE, "--source", f"table={folder / 'labels.csv'}", "--name", "pictures"]


def _until(seconds: float, happened: object) -> None:
    end = time.monotonic() + seconds
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough pictures that a kill comes in the middle of the work."""
    folder = tmp_path_factory.mktemp("many")
    draws = np.random.default_rng(0)
    for number in range(8):
        Image.fromarray(draws.integers(0, 255, (900, 800), np.uint8)).save(folder / f"{number}.png", compress_level=1)
    rows = [[f"i{row:04}", f"{row % 8}.png", f"p{row}", 1, 0, 0] for row in range(240)]
    pd.DataFrame(rows, columns=["image_id", "path", "patient_id", *CLASSES]).to_csv(folder / "labels.csv", index=False)
    return folder


def _bytes(workspace: Path) -> tuple[bytes, pd.DataFrame]:
    source = read_source_table(workspace / "images/pictures.parquet")
    return (workspace / "images/pictures.h5").read_bytes(), source.table


@pytest.fixture(scope="module")
def undisturbed(many: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = tmp_path_factory.mktemp("undisturbed")
    process = start(*_cache(many), cwd=workspace)
    assert process.wait(60) == 0, process.communicate()
    return workspace


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_ten_random_moments_it_ends_with_the_same_bytes(
    seed: int, many: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """The moments range over a whole run: start, decoding, the last files. Thirty over the three seeds."""
    draws = np.random.default_rng(seed)
    workspace, begun = tmp_path, 0
    for _ in range(10):
        if (workspace / "images/pictures.h5").exists():  # it was done before the kill: begin again elsewhere
            _assert_same(workspace, undisturbed)
            begun += 1
            workspace = tmp_path / str(begun)
            workspace.mkdir()
        process = start(*_cache(many), "--resume", cwd=workspace)
        time.sleep(draws.uniform(0.3, 3.0))
        process.kill()
        process.communicate()
    last = start(*_cache(many), "--resume", cwd=workspace)
    _, err = last.communicate(timeout=60)
    assert last.returncode == 0, err
    _assert_same(workspace, undisturbed)
    assert sorted(path.name for path in (workspace / "images").iterdir()) == ["pictures.h5", "pictures.parquet"]


def _assert_same(workspace: Path, undisturbed: Path) -> None:
    pixels, table = _bytes(workspace)
    expected_pixels, expected_table = _bytes(undisturbed)
    assert pixels == expected_pixels
    pd.testing.assert_frame_equal(table, expected_table)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 75)])
def test_a_signal_keeps_what_is_done_and_says_how_to_go_on(sent: signal.Signals, code: int, many: Path, tmp_path: Path) -> None:
    process = start(*_cache(many), cwd=tmp_path)
    part = tmp_path / "images/pictures.h5.part"
    _until(30, part.exists)
    time.sleep(0.5)
    process.send_signal(sent)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert "--resume" in err
    again = start(*_cache(many), "--resume", cwd=tmp_path)
    assert again.wait(60) == 0


def test_workers_end_with_their_parent(many: Path, tmp_path: Path) -> None:
    process = start(*_cache(many), cwd=tmp_path)
    _until(30, (tmp_path / "images/pictures.h5.part").exists)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    _until(10, lambda: not any(_alive(int(child)) for child in children))


def _alive(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_half_written_parts_are_marked_so(many: Path, tmp_path: Path) -> None:
    """What is not marked done has no pixels to trust: after a kill, marked rows hold their picture."""
    process = start(*_cache(many), cwd=tmp_path)
    part = tmp_path / "images/pictures.h5.part"
    _until(30, part.exists)
    time.sleep(0.5)
    process.kill()
    process.wait()
    reader = ImageReader(part)
    table = pd.read_csv(many / "labels.csv")
    for row in np.flatnonzero(reader.done)[::20]:
        expected = read_square(many / table["path"][row], PixelSettings(32))
        assert (reader.read(np.array([row]))[0] == expected).all()
