"""Files appear whole or not at all."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Run

from cxrlt_cli.artifacts.files import exclusive, fingerprint, refuse_existing, refuse_no_space, replacing
from cxrlt_cli.errors import UserError


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    with replacing(tmp_path / "new/file.txt") as aside:
        aside.write_text("half")
        assert not (tmp_path / "new/file.txt").exists()
    assert (tmp_path / "new/file.txt").read_text() == "half"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.txt"]


def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "file.txt") as aside:
        aside.write_text(f"half of the n{1 // 0}")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file.txt", "old")]


def test_a_folder_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="cannot write") as caught, replacing(tmp_path / "file/inside.txt") as aside:
        aside.write_text("x")
    assert "space" in caught.value.hint


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def _link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/null")


@pytest.mark.parametrize(
    ("make", "kind"), [(_pipe, "a pipe"), (_socket, "a socket"), (_link_to_a_device, "a device"), (Path.mkdir, "a folder")]
)
def test_what_is_no_regular_file_is_never_replaced(
    make: Callable[[Path], None], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    target, before = Path("target"), {"target"}
    make(target)
    inode = target.lstat().st_ino
    with pytest.raises(UserError, match=f"target is {kind}"), replacing(target) as aside:
        aside.write_text("x")
    if kind != "a folder":  # many artifacts are folders
        with pytest.raises(UserError, match=f"target is {kind}"):
            refuse_existing(target, overwrite=True)
    assert target.lstat().st_ino == inode
    assert {path.name for path in tmp_path.iterdir()} == before


def _write_while_a_pipe_appears(target: Path) -> None:
    with replacing(target) as aside:
        aside.write_text("x")
        _pipe(target)


def test_a_target_that_becomes_a_pipe_meanwhile_stays_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a pipe"):
        _write_while_a_pipe_appears(tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert (tmp_path / "target").is_fifo()


def test_a_command_does_not_replace_a_pipe(cxrlt: Run, tmp_path: Path) -> None:
    _pipe(tmp_path / "target")
    ended = cxrlt("embed-labels", "--encoder", "ngram", "--output", tmp_path / "target", "--overwrite")
    assert ended.code == 2
    assert "target is a pipe" in ended.err
    assert (tmp_path / "target").is_fifo()


def test_an_existing_output_is_refused_with_both_ways_out(tmp_path: Path) -> None:
    refuse_existing(tmp_path / "none", overwrite=False)
    (tmp_path / "some").touch()
    refuse_existing(tmp_path / "some", overwrite=True)
    with pytest.raises(UserError, match="exists") as caught:
        refuse_existing(tmp_path / "some", overwrite=False, resumable=True)
    assert "--resume" in caught.value.hint
    assert "--overwrite" in caught.value.hint


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    refuse_existing(tmp_path / "new/deep/x", overwrite=False)
    assert not (tmp_path / "new").exists()
    with pytest.raises(UserError, match=r"cannot write .*/file/x: Not a directory"):
        refuse_existing(tmp_path / "file/x", overwrite=False)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match="Permission denied") as caught:
        refuse_existing(tmp_path / "new/deep/x", overwrite=False)
    assert "right" in caught.value.hint


def test_no_space_is_said_before_the_work(tmp_path: Path) -> None:
    refuse_no_space(tmp_path, 1)
    with pytest.raises(UserError, match="GB free"):
        refuse_no_space(tmp_path, 1 << 60)


def test_a_second_process_is_refused_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    code = "import sys; from pathlib import Path; from cxrlt_cli.artifacts.files import exclusive\n"
    code += "with exclusive(Path(sys.argv[1])): print('held', flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(UserError, match="another process"), exclusive(lock):
        pass
    holder.kill()
    holder.wait()
    with exclusive(lock):
        assert lock.exists()
    assert not lock.exists()


def test_fingerprints_tell_contents_apart(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"x" * 1000)
    second.write_bytes(b"x" * 999 + b"y")
    assert fingerprint(first).sha256 != fingerprint(second).sha256
    assert (fingerprint(first).bytes, fingerprint(first).sampled) == (1000, False)
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(65 << 20)
    before = fingerprint(large)
    assert before.sampled
    with large.open("rb+") as file:
        file.seek(-1, 2)
        file.write(b"y")
    assert fingerprint(large).sha256 != before.sha256
