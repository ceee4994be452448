"""The package on systems that lack what Linux has: it is imported, and files are locked and allocated in another way."""

import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest

from cxrlt_cli import portable

PACKAGE = Path(portable.__file__).parent
#: Modules and names that the standard library of Windows lacks.
MODULES = ["fcntl", "resource", "termios", "tty", "pwd", "grp", "posix", "pty"]
NAMES = {
    "os": [
        "fork",
        "getuid",
        "posix_fallocate",
        "fdatasync",
        "statvfs",
        "pread",
        "preadv",
        "pwrite",
        "sched_getaffinity",
        "wait4",
    ],
    "signal": ["SIGUSR1", "SIGUSR2", "SIGHUP", "SIGALRM", "SIGKILL", "pthread_sigmask"],
}

#: Imported before: other packages have their own ways to do without.
OTHERS = [
    "torch", "torch.distributed", "torchvision", "pandas", "h5py", "pyarrow.parquet", "scipy.special", "cv2", "PIL.Image",
    "simplejpeg", "jinja2", "isal.isal_zlib", "typer", "multiprocessing.resource_tracker", "concurrent.futures.process",
    "subprocess", "socket", "importlib.metadata",
]  # fmt: skip


def _import_all(report: Path) -> None:
    """Imports every module of the package anew, without what Windows lacks; in a process of its own. Writes what went wrong."""
    try:
        for name in [name for name in sys.modules if name.split(".")[0] == "cxrlt_cli"]:
            del sys.modules[name]
        for name in MODULES:
            sys.modules[name] = None  # type: ignore[assignment]  # its import raises ImportError
        for module, names in NAMES.items():
            for name in names:
                delattr(sys.modules[module], name)
        for path in sorted(PACKAGE.rglob("*.py")):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            if "templates" not in parts and parts[-1] != "__main__":
                importlib.import_module(".".join(parts).removesuffix(".__init__"))
        with importlib.import_module("cxrlt_cli.signals").stop_requests() as stop:
            report.write_text(f"imported, {bool(stop)}")
    except BaseException:  # noqa: BLE001 - the process that started this one reports it
        report.write_text(traceback.format_exc())


def test_every_module_is_imported_where_windows_lacks_something(tmp_path: Path) -> None:
    for name in OTHERS:
        importlib.import_module(name)
    process = multiprocessing.get_context("fork").Process(target=_import_all, args=(tmp_path / "report",))
    process.start()
    process.join()
    assert (tmp_path / "report").read_text() == "imported, False"


@pytest.fixture
def bytes_locked(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Windows' locks: the inodes of the files whose first byte is locked."""
    held: set[int] = set()

    def locking(handle: int, _mode: int, count: int) -> None:
        inode = os.fstat(handle).st_ino
        assert (count, os.lseek(handle, 0, os.SEEK_CUR)) == (1, 0)
        if inode in held:
            raise PermissionError(13, "Permission denied")
        held.add(inode)

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(LK_NBLCK=2, locking=locking))
    return held


@pytest.mark.parametrize("windows", [False, True])
def test_a_lock_is_held_by_one(windows: bool, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    held: set[int] = request.getfixturevalue("bytes_locked") if windows else set()
    with (tmp_path / "lock").open("w+") as first, (tmp_path / "lock").open("r") as second:
        portable.lock_file(first.fileno())
        with pytest.raises(BlockingIOError):
            portable.lock_file(second.fileno(), shared=True)
        if not windows:
            first.close()
        held.clear()
        portable.lock_file(second.fileno(), wait=True)


def test_a_waiting_process_tries_again(bytes_locked: set[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w+") as file:
        portable.lock_file(file.fileno())
        monkeypatch.setattr(portable.time, "sleep", lambda _: bytes_locked.clear())
        portable.lock_file(file.fileno(), wait=True)
    assert bytes_locked


@pytest.mark.parametrize("linux", [True, False])
def test_files_grow_and_do_not_shrink(linux: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not linux:
        for name in ("posix_fallocate", "fdatasync", "statvfs"):
            monkeypatch.delattr(os, name, raising=False)
    with tempfile.NamedTemporaryFile() as file:
        for size, wanted in ((100, 100), (40, 100), (200, 200)):
            portable.allocate(file.fileno(), size)
            assert os.fstat(file.fileno()).st_size == wanted
        portable.flush_data(file.fileno())
        assert not portable.is_read_only(Path(file.name).parent)


def test_what_is_not_known_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (portable.peak_memory() or 0) > 10 << 20
    monkeypatch.setitem(sys.modules, "resource", None)
    assert portable.peak_memory() is None
    assert portable.largest_file() is None


def test_stop_signals_are_those_of_the_system() -> None:
    from cxrlt_cli.signals import STOP_SIGNALS

    assert set(STOP_SIGNALS) == {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1}
    assert "fork" in multiprocessing.get_all_start_methods()
