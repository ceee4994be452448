"""Every stage on a disk that is full, and on one that is read-only: one message, and nothing half-written."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CACHE, TRAIN, Run, classes_file, type_in, write_pictures
from shared import copied, made_once


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"file systems cannot be mounted here: {done.stderr.strip()}")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, and a workspace with every artifact up to a finished run and its predictions."""

    def make(folder: Path) -> None:
        write_pictures(folder / "source", 64)
        type_in(folder, [[*command, "--workspace", folder / "workspace"] for command in _stages(folder, "a")])

    return made_once(tmp_path_factory, "disks", make)


@pytest.fixture
def workspace(filled: Path, tmp_path: Path) -> Iterator[Path]:
    """The workspace on a file system of its own."""
    copied(filled / "source", tmp_path / "source")
    folder = tmp_path / "small"
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", "size=400m", "none", str(folder))
    try:
        yield copied(filled / "workspace", folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _stages(tmp_path: Path, name: str) -> list[list[object]]:
    """The command of each stage, to outputs called `name`."""
    return [
        [*CACHE, "--source", f"table={tmp_path / 'source/labels.csv'}", "--name", name, "--size", "256"],
        ["embed-labels", "--encoder", "ngram", "--overwrite"],
        ["merge", "--label-space", classes_file(tmp_path), "--source", "a", "--split", "50,25,25", "--overwrite"],
        [*TRAIN, "--epochs", "1", "--name", name],
        ["predict", "a", "--name", name],
        ["evaluate", "a", "--name", name, "--bootstrap", "20"],
        ["ensemble", "a", "--name", f"{name}-merged"],
        ["fuse", "a", "--epochs", "1", "--name", f"{name}-fused"],
    ]


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_full_disk(cxrlt: Run, workspace: Path, tmp_path: Path) -> None:
    filler = workspace / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4096"], capture_output=True, check=False)  # until it is full
    before = _contents(workspace)
    for command in _stages(tmp_path, "b"):
        ended = cxrlt(*command, "--workspace", workspace)
        assert ended.code == 2, (command, ended.err)
        assert ended.err.count("error:") == 1
        assert "No space left" in ended.err or "GB free" in ended.err
        left = {path: content for path, content in _contents(workspace).items() if path.stat().st_size}
        assert left == {path: content for path, content in before.items() if content}, command


def test_a_read_only_disk(cxrlt: Run, workspace: Path, tmp_path: Path) -> None:
    _mount("-o", "remount,ro", str(workspace))
    before = _contents(workspace)
    for command in _stages(tmp_path, "b"):
        ended = cxrlt(*command, "--workspace", workspace)
        assert ended.code == 2, (command, ended.err)
        assert ended.err.count("error:") == 1
        assert "Read-only file system" in ended.err
    assert _contents(workspace) == before
