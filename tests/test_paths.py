"""What lies at a path, below a folder, and near a name."""

import os
from pathlib import Path

import pytest

from cxrlt_cli.errors import UserError
from cxrlt_cli.paths import (
    MISSING,
    children,
    contents,
    exists,
    is_file,
    is_folder,
    list_folder,
    refuse_names_not_utf8,
    what_is_near,
    why_absent,
)

LONG = "x" * 300


def _write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def _closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that may not be entered; permissions do not hold for root."""
    stat, scan = Path.stat, os.scandir

    def refuse(path: object) -> None:
        if str(path).startswith(str(folder)):
            raise PermissionError(13, "Permission denied", str(path))

    def stat_(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path != folder:
            refuse(path)
        return stat(path, follow_symlinks=follow_symlinks)

    def scan_(path: object) -> object:
        refuse(path)
        return scan(path)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "stat", stat_)
    monkeypatch.setattr(os, "scandir", scan_)


def test_there_absent_or_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, "file", "closed/file")
    (tmp_path / "circle").symlink_to("circle")
    _closed(tmp_path / "closed", monkeypatch)
    paths = ["file", "closed", "none", "file/below", LONG, "nul\0", "closed/file", "circle"]
    reasons = [why_absent(tmp_path / name) for name in paths]
    assert reasons[:5] == ["", "", MISSING, MISSING, "File name too long"]
    assert "null" in reasons[5]
    assert reasons[6] == "Permission denied"
    assert "symbolic links" in reasons[7]


def test_what_cannot_be_is_absent_and_what_may_not_be_looked_at_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, "file", "closed/file")
    assert (exists(tmp_path / "file"), is_file(tmp_path / "file"), is_folder(tmp_path / "file")) == (True, True, False)
    assert (exists(tmp_path), is_file(tmp_path), is_folder(tmp_path)) == (True, False, True)
    for name in ("none", "file/below", LONG, "nul\0"):
        assert not exists(tmp_path / name)
        assert not is_file(tmp_path / name)
        assert not is_folder(tmp_path / name)
    _closed(tmp_path / "closed", monkeypatch)
    for look in (exists, is_file, is_folder):
        with pytest.raises(UserError, match="closed/file cannot be looked at: Permission denied"):
            look(tmp_path / "closed/file")


def test_a_locale_that_is_not_utf_8_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, "plain.png")
    assert "PYTHONUTF8" not in what_is_near(tmp_path / "Müller.png")
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "latin-1")
    assert what_is_near(tmp_path / "Müller.png").endswith("not 'Müller.png' (latin-1; PYTHONUTF8=1 makes it UTF-8)")
    assert "PYTHONUTF8" not in what_is_near(tmp_path / "none.png")
    assert "latin-1; PYTHONUTF8=1" in why_absent(tmp_path / "\ud800.png")


def test_links_are_followed_and_no_folder_is_entered_twice(tmp_path: Path) -> None:
    _write(tmp_path, "root/a/1.png", "root/b/2.png", "other/3.png")
    (tmp_path / "root/a/up").symlink_to("..")
    (tmp_path / "root/0-b").symlink_to("b")
    (tmp_path / "root/linked").symlink_to(tmp_path / "other")
    (tmp_path / "root/again").symlink_to(tmp_path / "other")
    (tmp_path / "root/4.png").symlink_to(tmp_path / "other/3.png")
    listing = list_folder(tmp_path / "root")
    names = [path.relative_to(tmp_path / "root").as_posix() for path in listing.files]
    assert names == ["4.png", "a/1.png", "again/3.png", "b/2.png"], "the real name, and of two links the first"
    assert listing.skipped == {"a link to a folder that is read already": ["0-b/", "linked/", "a/up/"]}


def test_what_is_passed_over_is_named_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, "1.png", ".DS_Store", ".git/x.png", "closed/2.png")
    (tmp_path / "broken").symlink_to("none")
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe")
    _closed(tmp_path / "closed", monkeypatch)
    listing = list_folder(tmp_path)
    assert listing.files == [tmp_path / "1.png"]
    circle = next(reason for reason in listing.skipped if "symbolic" in reason)
    assert listing.skipped == {
        "hidden": [".DS_Store", ".git"],
        "a broken link": ["broken"],
        "neither a file nor a folder": ["pipe"],
        "Permission denied": ["closed/"],
        circle: ["circle"],
    }


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, "closed/2.png")
    with pytest.raises(UserError, match="none is not a folder"):
        list_folder(tmp_path / "none")
    with pytest.raises(UserError, match="none cannot be read: No such file"):
        children(tmp_path / "none")
    _closed(tmp_path / "closed", monkeypatch)
    with pytest.raises(UserError, match="closed cannot be read: Permission denied"):
        list_folder(tmp_path / "closed")


def test_the_first_names_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, *"dcba", "closed/x")
    (tmp_path / "empty").mkdir()
    assert contents(tmp_path) == "has 'a', 'b', 'c' and 3 more"
    assert contents(tmp_path / "empty") == "is empty"
    _closed(tmp_path / "closed", monkeypatch)
    assert contents(tmp_path / "closed") == "cannot be read: Permission denied"


def test_names_in_other_bytes_than_utf_8(tmp_path: Path) -> None:
    names = ["a.png", os.fsdecode(b"caf\xe9.png"), os.fsdecode(b"\xff.png")]
    with pytest.raises(UserError, match="2 file names below x are not UTF-8: 'caf") as caught:
        refuse_names_not_utf8(names, Path("x"))
    caught.value.message.encode()
    refuse_names_not_utf8(["a.png", "café.png"], Path("x"))


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("x/1.jpg", "x has '1.png' instead of '1.jpg'"),
        ("x/2", "x has '2.DCM' instead of '2'"),
        ("x/IMAGE.png", "x has 'Image.png' instead of 'IMAGE.png'"),
        ("x/3.png ", "x has '3.png' instead of '3.png '"),
        ("x/café.png", "instead of 'café.png'"),
        ("X/1.png", "has 'x' instead of 'X'"),
        ("x\\1.png", "it is written with \\ where this machine has /"),
        ("x/7.png", "x has '1.png', '2.DCM', '3.png' and 2 more, not '7.png'"),
        ("empty/7.png", "empty has nothing in it, not '7.png'"),
        ("x/1.png", "x/1.png is there"),
    ],
)
def test_what_is_near(path: str, says: str, tmp_path: Path) -> None:
    _write(tmp_path, "x/1.png", "x/2.DCM", "x/Image.png", "x/3.png", "x/cafe\u0301.png")
    (tmp_path / "empty").mkdir()
    assert says in what_is_near(tmp_path / path)
