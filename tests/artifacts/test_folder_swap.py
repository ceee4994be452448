"""An artifact of several files is the old one or the new one, at every moment."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cxrlt_cli.artifacts import folder_swap
from cxrlt_cli.artifacts.folder_swap import replacing_folder
from cxrlt_cli.errors import UserError


def _own(name: str) -> bool:
    return name in ("a.txt", "b.txt", "old.txt")


def _contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(params=["exchange", "renames"])
def artifact(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An artifact with a user's own file in it, on a file system that can exchange folders, and on one that cannot."""
    if request.param == "renames":
        monkeypatch.setattr(folder_swap, "_exchanged", lambda *_: False)
    folder = tmp_path / "work" / "artifact"
    folder.mkdir(parents=True)
    for name in ("a.txt", "old.txt", "notes.txt"):
        (folder / name).write_text(f"old {name}")
    return folder


def test_the_new_files_take_the_place_of_the_old_ones_and_other_files_stay(artifact: Path) -> None:
    with replacing_folder(artifact, _own) as aside:
        (aside / "a.txt").write_text("new a")
        (aside / "b.txt").write_text("new b")
        assert _contents(artifact)["a.txt"] == "old a.txt"
    assert _contents(artifact.parent) == {
        "artifact/a.txt": "new a",
        "artifact/b.txt": "new b",
        "artifact/notes.txt": "old notes.txt",
    }


def test_a_failure_leaves_all_old_files_and_nothing_else(artifact: Path) -> None:
    before = _contents(artifact.parent)
    with pytest.raises(ZeroDivisionError), replacing_folder(artifact, _own) as aside:
        (aside / "a.txt").write_text(f"half {1 // 0}")
    assert _contents(artifact.parent) == before


def test_a_kill_between_two_renames_is_put_right_by_the_next_call(artifact: Path) -> None:
    aside = artifact.with_name(".artifact.99.tmp")
    aside.mkdir()
    (aside / "a.txt").write_text("new a")
    artifact.rename(artifact.with_name(".artifact.former.tmp"))
    with pytest.raises(ZeroDivisionError), replacing_folder(artifact, _own):
        raise ZeroDivisionError
    assert _contents(artifact.parent) == {f"artifact/{name}": f"old {name}" for name in ("a.txt", "notes.txt", "old.txt")}


def test_a_kill_after_the_exchange_loses_no_file_of_the_user(artifact: Path) -> None:
    former = artifact.with_name(".artifact.99.tmp")
    artifact.rename(former)
    artifact.mkdir()
    (artifact / "a.txt").write_text("new a")
    with replacing_folder(artifact, _own) as aside:
        (aside / "a.txt").write_text("newer a")
    assert _contents(artifact.parent) == {"artifact/a.txt": "newer a", "artifact/notes.txt": "old notes.txt"}


def test_a_link_that_only_looks_like_a_leftover_is_not_followed(artifact: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.txt").write_text("mine")
    artifact.with_name(".artifact.99.tmp").symlink_to(elsewhere)
    with replacing_folder(artifact, _own) as aside:
        (aside / "a.txt").write_text("new a")
    assert _contents(elsewhere) == {"mine.txt": "mine"}


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "artifact").write_text("mine")
    with pytest.raises(UserError, match="is not a folder"), replacing_folder(tmp_path / "artifact", _own):
        pass
    assert (tmp_path / "artifact").read_text() == "mine"


def test_a_reader_never_sees_a_mixture(tmp_path: Path) -> None:
    """A process writes one generation after the other and is killed; whoever looks finds both files of one generation."""
    folder = tmp_path / "artifact"
    code = "import sys; from pathlib import Path\nfrom cxrlt_cli.artifacts.folder_swap import replacing_folder\n"
    code += "for number in range(10**6):\n"
    code += "    with replacing_folder(Path(sys.argv[1]), lambda name: True) as aside:\n"
    code += "        [(aside / name).write_text(str(number)) for name in ('a', 'b')]\n"
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code, str(folder)])
        while not folder.is_dir():
            time.sleep(0.01)
        for _ in range(20):
            handle = os.open(folder, os.O_RDONLY)
            found = {_content(handle, name) for name in ("a", "b")}
            os.close(handle)
            assert len(found) == 1 or None in found, found  # None: the folder was replaced and removed in between
        process.kill()
        process.wait()
        assert (folder / "a").read_text() == (folder / "b").read_text()


def _content(folder: int, name: str) -> str | None:
    try:
        handle = os.open(name, os.O_RDONLY, dir_fd=folder)
    except FileNotFoundError:
        return None
    with os.fdopen(handle) as file:
        return file.read()
