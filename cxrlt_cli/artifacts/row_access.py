"""The rows of a row file, written and read in place, without HDF5's library."""

import hashlib
import os
from math import prod
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.row_layout import Layout, read_done
from cxrlt_cli.errors import UserError, listed, reported_os_errors
from cxrlt_cli.portable import flush_data


def content_hash(values: np.ndarray) -> int:
    """BLAKE2b of the bytes of a contiguous array, 64 bits."""
    return int.from_bytes(hashlib.blake2b(values.data, digest_size=8).digest(), "little")


class RowWriter:
    """Writes rows of an allocated file in place; any number of processes may do so at once, each with its own."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._handle = os.open(layout.path, os.O_RDWR)

    def write(self, row: int, values: np.ndarray, hashes: np.ndarray) -> None:
        """Writes a row, of the file's shape and type, and its hashes (words,) uint64."""
        layout = self.layout
        if values.shape != layout.shape or values.dtype != layout.format.dtype:
            wanted = f"{layout.shape} {layout.format.dtype}"
            raise ValueError(f"row {row}: {values.shape} {values.dtype} instead of {wanted}")
        self._put(layout.parts[0].offset + row * layout.row_bytes, np.ascontiguousarray(values))
        self._put(layout.hashes + row * hashes.nbytes, hashes)

    def _put(self, offset: int, values: np.ndarray) -> None:
        if os.pwrite(self._handle, values.data, offset) != values.nbytes:
            raise OSError(f"{self.layout.path} was written in part")

    def mark_done(self, rows: list[int]) -> None:
        """Sets `/done` for rows that were written, after those are flushed to the disk."""
        flush_data(self._handle)
        for row in rows:
            os.pwrite(self._handle, b"\1", self.layout.done + row)

    def close(self) -> None:
        """Flushes and closes the file."""
        os.fsync(self._handle)
        os.close(self._handle)


class RowReader:
    """Random access to the rows of a file. Opens it lazily, once in each process, so that it survives fork and spawn."""

    _process = -1  # also where its making failed

    def __init__(self, layout: Layout) -> None:
        self._handles = list[int]()  # closed with the reader
        self.layout = layout
        self.done = read_done(self.layout)
        self._ends = np.array([part.first + part.count for part in self.layout.parts])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handles": [], "_process": -1}

    def read_into(self, rows: np.ndarray, out: np.ndarray, at: np.ndarray, pieces: np.ndarray | None = None) -> None:
        """Reads `rows` to `out[at]`.

        Args:
            rows: (B,) row numbers.
            out: (M, ...) contiguous, of the shape of a row; with `pieces`, of a row without its first axis.
            at: (B,) places in `out`.
            pieces: (B,) which index of a row's first axis is read; None for whole rows.

        Raises:
            UserError: a row is not there, or the file was cut after it was opened.
        """
        absent = rows[~self.done[rows]]
        form = self.layout.format
        if len(absent):
            names = listed(self.layout.ids[row] for row in absent)
            raise UserError(f"{self.layout.path} has no {form.content} for {names}", form.incomplete)
        whole, size = self.layout.row_bytes, prod(out.shape[1:]) * out.itemsize
        handles, parts = self.opened(), self.layout.parts
        order = np.argsort(rows, kind="stable")  # the order of the disk
        wanted = rows[order]
        within = np.zeros_like(wanted) if pieces is None else pieces[order] * size
        places = np.searchsorted(self._ends, wanted, side="right").tolist()
        for row, start, place, position in zip(wanted.tolist(), within.tolist(), places, at[order].tolist(), strict=True):
            part = parts[place]
            offset = part.offset + (row - part.first) * whole + start
            if os.preadv(handles[place], [out[position].data], offset) != size:
                raise UserError(f"{part.path} is cut short", form.again)

    def opened(self) -> list[int]:
        """The handles of the file's parts in this process, opened if they are not. Raises UserError where one cannot be."""
        if self._process != os.getpid():
            with reported_os_errors(f"cannot read {self.layout.path}"):
                self._handles = [os.open(part.path, os.O_RDONLY) for part in self.layout.parts]
            self._process = os.getpid()
        return self._handles

    def __del__(self) -> None:
        if self._process == os.getpid():
            for handle in self._handles:
                os.close(handle)
