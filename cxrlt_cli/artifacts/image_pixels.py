"""The pixels of `images/NAME.h5`, written and read in place, without HDF5's library."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.image_file import Layout, read_done, read_hashes, read_layout
from cxrlt_cli.errors import UserError, listed, reported_os_errors
from cxrlt_cli.machine import cores

_BLOCK = 64  # images hashed at once by a thread


def content_hash(square: np.ndarray) -> int:
    """BLAKE2b of the bytes of a (S, S) uint8 square, 64 bits: the first of its hashes in the file."""
    return int.from_bytes(hashlib.blake2b(square.data, digest_size=8).digest(), "little")


class PixelWriter:
    """Writes rows of an allocated file in place; any number of processes may do so at once, each with its own."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._handle = os.open(layout.path, os.O_RDWR)

    def write(self, row: int, pixels: np.ndarray, hashes: np.ndarray) -> None:
        """Writes the pixels (S, S) uint8 and the hashes (5,) uint64 of a row."""
        size = self.layout.size
        if pixels.shape != (size, size) or pixels.dtype != np.uint8:
            raise ValueError(f"row {row}: {pixels.shape} {pixels.dtype} instead of ({size}, {size}) uint8")
        self._put(self.layout.parts[0].offset + row * size * size, np.ascontiguousarray(pixels))
        self._put(self.layout.hashes + row * hashes.nbytes, hashes)

    def _put(self, offset: int, values: np.ndarray) -> None:
        if os.pwrite(self._handle, values.data, offset) != values.nbytes:
            raise OSError(f"{self.layout.path} was written in part")

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
        self._process, self._handles = -1, list[int]()  # closed with the reader
        self.layout = read_layout(path)
        self.done = read_done(self.layout)
        self._ends = np.array([part.first + part.count for part in self.layout.parts])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handles": [], "_process": -1}

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
        handles, parts = self._open(), self.layout.parts
        order = np.argsort(rows, kind="stable")  # the order of the disk
        wanted = rows[order]
        places = np.searchsorted(self._ends, wanted, side="right")
        for row, place, position in zip(wanted.tolist(), places.tolist(), at[order].tolist(), strict=True):
            part = parts[place]
            if os.preadv(handles[place], [out[position].data], part.offset + (row - part.first) * size) != size:
                raise UserError(f"{part.path} is cut short", "make it again with: cxrlt cache --overwrite")

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(B, S, S) uint8 of (B,) row numbers, in their order. Raises UserError as `read_into` does."""
        out = np.empty((len(rows), self.layout.size, self.layout.size), dtype=np.uint8)
        self.read_into(rows, out, np.arange(len(rows)))
        return out

    def verify(self, rows: np.ndarray) -> None:
        """Compares the pixels of (B,) rows with the hashes that were written with them.

        Raises:
            UserError: pixels were changed after they were cached; their images are named.
        """
        hashes = read_hashes(self.layout)[:, 0]

        def changed(block: np.ndarray) -> list[int]:
            squares = self.read(block)
            return [row for row, square in zip(block.tolist(), squares, strict=True) if content_hash(square) != hashes[row]]

        self._open()  # once, before the threads
        with ThreadPoolExecutor(cores()) as pool:
            found = [row for some in pool.map(changed, np.split(rows, range(_BLOCK, len(rows), _BLOCK))) for row in some]
        if found:
            names = listed(self.layout.ids[row] for row in found)
            raise UserError(
                f"{self.layout.path} is damaged: the pixels of {len(found)} images changed after they were cached: {names}",
                "make it again with: cxrlt cache --overwrite",
            )

    def __del__(self) -> None:
        if self._process == os.getpid():
            for handle in self._handles:
                os.close(handle)

    def _open(self) -> list[int]:
        if self._process != os.getpid():
            with reported_os_errors(f"cannot read {self.layout.path}"):
                self._handles = [os.open(part.path, os.O_RDONLY) for part in self.layout.parts]
            self._process = os.getpid()
        return self._handles
