"""`cxrlt cache` interrupted: by kills at any moment and by signals."""

import multiprocessing
import os
import signal
import subprocess
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import CACHE, CLASSES, Run, start
from PIL import Image

from cxrlt_cli.artifacts.image_file import create_images
from cxrlt_cli.artifacts.image_pixels import ImageReader
from cxrlt_cli.artifacts.row_access import RowWriter
from cxrlt_cli.artifacts.source_table import read_source_table
from cxrlt_cli.errors import UserError
from cxrlt_cli.preprocess import cache
from cxrlt_cli.preprocess.decode_workers import ImageFile, decode_rows
from cxrlt_cli.preprocess.settings import PixelSettings, read_square


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
        Image.fromarray(draws.integers(0, 255, (450, 400), np.uint8)).save(folder / f"{number}.png", compress_level=1)
    rows = [[f"i{row:04}", f"{row % 8}.png", f"p{row}", 1, 0, 0] for row in range(240)]
    pd.DataFrame(rows, columns=["image_id", "path", "patient_id", *CLASSES]).to_csv(folder / "labels.csv", index=False)
    return folder


def _bytes(workspace: Path) -> tuple[bytes, pd.DataFrame]:
    source = read_source_table(workspace / "images/pictures.parquet")
    return (workspace / "images/pictures.h5").read_bytes(), source.table


@pytest.fixture(scope="module")
def undisturbed(many: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A workspace, and the seconds that it took: of the second of two, since the first waits for the server of processes."""
    workspace = tmp_path_factory.mktemp("undisturbed")
    for more in ([], ["--overwrite"]):
        began = time.monotonic()
        process = start(*_cache(many), *more, cwd=workspace)
        assert process.wait(120) == 0, process.communicate()
    return workspace, time.monotonic() - began


@pytest.mark.timeout(900)
def test_killed_at_ten_random_moments_it_ends_with_the_same_bytes(
    many: Path, undisturbed: tuple[Path, float], tmp_path: Path
) -> None:
    """The moments range over a whole run: start, decoding, the last files."""
    expected, seconds = undisturbed
    draws = np.random.default_rng(0)
    workspace, killed, begun = tmp_path, 0, 0
    while killed < 10:
        process = start(*_cache(many), "--resume", cwd=workspace)
        with suppress(subprocess.TimeoutExpired):
            process.wait(draws.uniform(0.1, 1) * seconds)
        process.kill()
        _, err = process.communicate()
        killed += process.returncode == -signal.SIGKILL
        if process.returncode != -signal.SIGKILL:  # it was done before the kill: begin again elsewhere
            assert process.returncode == 0, err
            _assert_same(workspace, expected)
            begun += 1
            workspace = tmp_path / str(begun)
            workspace.mkdir()
    _assert_it_ends_well(many, workspace, expected)


def _kill_at_a_rename(left: int) -> None:
    """From here on, this process is killed before its `left`th rename."""
    rename, remaining = os.replace, iter(range(left))

    def replace(source: Path, target: Path) -> None:
        if next(remaining, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)

    os.replace = replace  # type: ignore[assignment]


def _kill_at_a_mark() -> None:
    """From here on, this process is killed when more than 40 rows are marked done."""
    mark = RowWriter.mark_done

    def mark_and_die(writer: RowWriter, rows: list[int]) -> None:
        mark(writer, rows)
        if writer.layout.path.read_bytes()[writer.layout.done :][:240].count(1) > 40:
            os.kill(os.getpid(), signal.SIGKILL)

    RowWriter.mark_done = mark_and_die  # type: ignore[method-assign]
    cache._SECONDS_BETWEEN_MARKS = 0


@pytest.mark.parametrize("renames", range(3))
def test_killed_before_a_file_gets_its_name(renames: int, many: Path, undisturbed: tuple[Path, float], tmp_path: Path) -> None:
    """The moments that a random kill seldom hits: the pixels are laid out, they are all there, the table is there too."""
    process = start(*_cache(many), cwd=tmp_path, first=partial(_kill_at_a_rename, renames))
    _, err = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, err
    assert list((tmp_path / "images").glob(".*.tmp" if renames < 2 else "*.part"))
    _assert_it_ends_well(many, tmp_path, undisturbed[0])


def _assert_it_ends_well(many: Path, workspace: Path, expected: Path) -> None:
    last = start(*_cache(many), "--resume", cwd=workspace)
    _, err = last.communicate(timeout=120)
    assert last.returncode == 0, err
    _assert_same(workspace, expected)
    assert sorted(path.name for path in (workspace / "images").iterdir()) == ["pictures.h5", "pictures.parquet"]


def _assert_same(workspace: Path, undisturbed: Path) -> None:
    pixels, table = _bytes(workspace)
    expected_pixels, expected_table = _bytes(undisturbed)
    assert pixels == expected_pixels
    pd.testing.assert_frame_equal(table, expected_table)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 75)])
def test_a_signal_keeps_what_is_done_and_says_how_to_go_on(sent: signal.Signals, code: int, many: Path, tmp_path: Path) -> None:
    process = start(*_cache(many), cwd=tmp_path)
    _until(100, (tmp_path / "images/pictures.h5.part").exists)
    process.send_signal(sent)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert "--resume" in err
    again = start(*_cache(many), "--resume", cwd=tmp_path)
    assert again.wait(60) == 0


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 75), (signal.SIGINT, 130)])
@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_a_signal_to_all_processes_while_they_start(
    seconds: float, sent: signal.Signals, code: int, many: Path, tmp_path: Path
) -> None:
    """As Slurm and a terminal send it: the workers leave it to their parent, from their first moment on."""
    process = start(*_cache(many), cwd=tmp_path)
    _until(30, (tmp_path / "images/pictures.h5.part").exists)
    time.sleep(seconds)
    os.killpg(process.pid, sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert err.count("stopped by") == 1


def test_workers_end_with_their_parent(many: Path, tmp_path: Path) -> None:
    process = start(*_cache(many), cwd=tmp_path)
    _until(100, (tmp_path / "images/pictures.h5.part").exists)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    _until(10, lambda: not any(_alive(int(child)) for child in children))


@pytest.mark.parametrize("seconds", [0.3, 0.5])
def test_a_worker_that_is_killed_ends_the_command(
    seconds: float, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the memory is full. It may hold the lock of the queue that another worker, which has just started, waits for."""
    files = [ImageFile(path) for path in sorted((pictures / "pictures").iterdir())]
    layout = create_images(tmp_path / "x.h5", [file.path.name for file in files], 32, PixelSettings(32).saved(), {})
    monkeypatch.setattr("cxrlt_cli.preprocess.decode_workers._FEW", 8)

    def files_of(rows: np.ndarray) -> list[ImageFile]:
        if rows[0] in (16, 32):
            time.sleep(seconds)
        if rows[0] == 32:
            min(multiprocessing.active_children(), key=lambda worker: worker.pid or 0).kill()
        return [files[row] for row in rows]

    with pytest.raises(UserError, match="a decoding process was killed"):
        list(decode_rows(layout, PixelSettings(32), (np.arange(96), files_of), 2))
    assert not multiprocessing.active_children()


def test_a_process_that_cannot_be_started_is_said(
    cxrlt: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("cxrlt_cli.preprocess.decode_workers._FEW", 8)
    monkeypatch.setattr("concurrent.futures.process.ProcessPoolExecutor.submit", refuse)
    ended = cxrlt(*_cache(pictures))
    assert ended.code == 2
    assert "a decoding process cannot be started: [Errno 11] Resource temporarily unavailable" in ended.err
    assert "ulimit -u" in ended.err


def _alive(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_half_written_parts_are_marked_so(many: Path, tmp_path: Path) -> None:
    """What is not marked done has no pixels to trust: after a kill, marked rows hold their picture."""
    process = start(*_cache(many), cwd=tmp_path, first=_kill_at_a_mark)
    assert process.wait(120) == -signal.SIGKILL
    reader = ImageReader(tmp_path / "images/pictures.h5.part")
    assert 0 < reader.done.sum() < 240
    table = pd.read_csv(many / "labels.csv")
    for row in np.flatnonzero(reader.done)[::20]:
        expected = read_square(many / table["path"][row], PixelSettings(32))
        assert (reader.read(np.array([row]))[0] == expected).all()
