"""`images/NAME.h5`: preprocessed gray images, one preallocated contiguous block that can be read and written in place.

`/images` uint8 (N, S, S), `/id` UTF-8 (N,), `/done` uint8 (N,): 1 where the pixels of the row are on disk. All three are
contiguous and allocated at once, so that their bytes stand at fixed offsets: worker processes write pixels side by side
without HDF5's library, which stays closed, and a process that is killed cannot damage the file. The file holds no time,
so that the same input gives the same bytes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import h5py
import numpy as np

from cxrlt_cli.artifacts.files import refuse_no_space, replacing
from cxrlt_cli.errors import UserError, listed, reported_os_errors

FORMAT, VERSION = "cxrlt images", 1
_AGAIN = "make it again with: cxrlt cache --overwrite"


@dataclass(frozen=True)
class Layout:
    """Where the bytes of an image file stand.

    Attributes:
        path: the file.
        ids: image ids, a row each.
        size: side of the square, px.
        images: byte offset of `/images`.
        done: byte offset of `/done`.
        settings: how the pixels were made (size, fit …), as `cache` recorded it.
    """

    path: Path
    ids: list[str]
    size: int
    images: int
    done: int
    settings: dict[str, Any]


def create_images(path: Path, ids: list[str], size: int, settings: dict[str, Any], source: dict[str, Any]) -> Layout:
    """Allocates the whole file, every row not done.

    Raises:
        UserError: no space for all the pixels, or the folder cannot be written to.
    """
    encoded = np.array([identifier.encode() for identifier in ids])
    with replacing(path) as aside:
        refuse_no_space(path.parent, len(ids) * (size * size + encoded.itemsize + 1) + (1 << 20))
        with h5py.File(aside, "w", libver=("v110", "v110")) as file:
            file.attrs.update(
                {"format": FORMAT, "version": VERSION, **_prefixed("settings", settings), **_prefixed("source", source)}
            )
            _allocate(file, "images", (len(ids), size, size), h5py.h5t.STD_U8LE)
            _allocate(file, "done", (len(ids),), h5py.h5t.STD_U8LE)
            file.create_dataset("id", data=encoded.astype(h5py.string_dtype("utf-8", encoded.itemsize)))
        with aside.open("rb+") as handle:  # a sparse file would fail half-way through the work instead of now
            os.posix_fallocate(handle.fileno(), 0, os.fstat(handle.fileno()).st_size)
    return read_layout(path)


def _allocate(file: h5py.File, name: str, shape: tuple[int, ...], dtype: Any) -> None:
    """A contiguous dataset whose bytes exist from the start. Nothing is written: the file system gives zeros."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.CONTIGUOUS)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    plist.set_obj_track_times(False)
    h5py.h5d.create(file.id, name.encode(), dtype, h5py.h5s.create_simple(shape), plist)


def _prefixed(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{key}": value for key, value in values.items()}


def read_attributes(path: Path, prefix: str) -> dict[str, Any]:
    """The attributes that `create_images` wrote as `settings` or `source`."""
    with _opened(path) as file:
        return _attributes(file, prefix)


def _attributes(file: h5py.File, prefix: str) -> dict[str, Any]:
    found = {key.removeprefix(f"{prefix}."): value for key, value in file.attrs.items() if key.startswith(f"{prefix}.")}
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in found.items()}


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The file, checked to be one of ours.

    Raises:
        UserError: not there, not HDF5, cut short, or of another format or version.
    """
    if not path.is_file():
        raise UserError(f"{path} is not there", "make it with: cxrlt cache")
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise UserError(f"{path} cannot be opened as HDF5: {error}", _AGAIN) from error
    with file:
        if file.attrs.get("format") != FORMAT:
            raise UserError(f"{path} is an HDF5 file of another origin, not {FORMAT}", _AGAIN)
        if file.attrs.get("version") != VERSION:
            raise UserError(f"{path} has version {file.attrs.get('version')}, this cxrlt reads {VERSION}", _AGAIN)
        yield file


def read_layout(path: Path) -> Layout:
    """Checks an image file and says where its bytes stand.

    Raises:
        UserError: not there, not HDF5, cut short, of another format or version, or altered.
    """
    with _opened(path) as file:
        try:
            images, done, ids = file["images"], file["done"], file["id"]
            count, size, width = images.shape
            offsets = images.id.get_offset(), done.id.get_offset()
        except (KeyError, ValueError, AttributeError) as error:
            raise UserError(f"{path} was altered: {error}", _AGAIN) from error
        sound = size == width and images.dtype == np.uint8 == done.dtype and done.shape == ids.shape == (count,)
        if not sound or None in offsets:
            raise UserError(f"{path} was altered: its datasets do not have the shapes and types of {FORMAT}", _AGAIN)
        names = [identifier.decode() for identifier in ids[:]]
        settings = _attributes(file, "settings")
    if path.stat().st_size < offsets[0] + count * size * size:
        raise UserError(f"{path} is cut short", _AGAIN)
    return Layout(path, names, size, offsets[0], offsets[1], settings)


def read_done(layout: Layout) -> np.ndarray:
    """(N,) bool: the rows whose pixels are on disk."""
    with layout.path.open("rb") as file:
        file.seek(layout.done)
        return np.asarray(np.frombuffer(file.read(len(layout.ids)), dtype=np.uint8) == 1)


class PixelWriter:
    """Writes rows of an allocated file in place; any number of processes may do so at once, each with its own."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._handle = os.open(layout.path, os.O_RDWR)

    def write(self, row: int, pixels: np.ndarray) -> None:
        """Writes (S, S) uint8 to its row."""
        size = self.layout.size
        if pixels.shape != (size, size) or pixels.dtype != np.uint8:
            raise ValueError(f"row {row}: {pixels.shape} {pixels.dtype} instead of ({size}, {size}) uint8")
        content = np.ascontiguousarray(pixels).data
        if os.pwrite(self._handle, content, self.layout.images + row * size * size) != size * size:
            raise OSError(f"row {row} was written in part")

    def mark_done(self, rows: list[int]) -> None:
        """Sets `/done` for rows whose pixels were written, after those are flushed to the disk."""
        os.fdatasync(self._handle)
        for row in rows:
            os.pwrite(self._handle, b"\1", self.layout.done + row)

    def close(self) -> None:
        """Flushes and closes the file."""
        os.fsync(self._handle)
        os.close(self._handle)


class ImageReader:
    """Random access to the images of a file. Opens it lazily, once in each process, so that it survives fork and spawn."""

    def __init__(self, path: Path) -> None:
        """Checks the file. Raises UserError as `read_layout` does."""
        self.layout = read_layout(path)
        self.done = read_done(self.layout)
        self._file: BinaryIO | None = None  # closed with the reader
        self._process = -1

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_process": -1}

    def read_into(self, rows: np.ndarray, out: np.ndarray, at: np.ndarray) -> None:
        """Reads images `rows` to `out[at]`.

        Args:
            rows: (B,) row numbers.
            out: (M, S, S) uint8, contiguous.
            at: (B,) places in `out`.

        Raises:
            UserError: a row has no pixels, or the file was cut after it was opened.
        """
        absent = rows[~self.done[rows]]
        if len(absent):
            names = listed(self.layout.ids[row] for row in absent)
            raise UserError(f"{self.layout.path} has no pixels for {names}", "make the dataset again: cxrlt merge --overwrite")
        size = self.layout.size * self.layout.size
        handle = self._open()
        for position in np.argsort(rows, kind="stable"):  # in the order of the disk
            read = os.preadv(handle, [out[at[position]].data], self.layout.images + int(rows[position]) * size)
            if read != size:
                raise UserError(f"{self.layout.path} is cut short", _AGAIN)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(B, S, S) uint8 of (B,) row numbers, in their order. Raises UserError as `read_into` does."""
        out = np.empty((len(rows), self.layout.size, self.layout.size), dtype=np.uint8)
        self.read_into(rows, out, np.arange(len(rows)))
        return out

    def _open(self) -> int:
        if self._file is None or self._process != os.getpid():
            with reported_os_errors(f"cannot read {self.layout.path}"):
                self._file = cast("BinaryIO", self.layout.path.open("rb", buffering=0))
            self._process = os.getpid()
        return self._file.fileno()
