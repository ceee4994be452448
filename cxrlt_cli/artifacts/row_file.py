"""HDF5 files with a row per image, in one preallocated contiguous block that can be read and written in place.

A dataset with the rows (`/images`, `/features`), `/id` UTF-8 (N,), `/hash` uint64 (N, words), `/done` uint8 (N,): 1 where the
row is on disk. All are contiguous and allocated at once, so that their bytes stand at fixed offsets: processes write rows side
by side without the library of HDF5, which stays closed, and a process that is killed cannot damage the file. The file holds no
time, so that the same input gives the same bytes.

Shards that were joined without copying have the rows as a virtual dataset; they are then read from the shards.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cxrlt_cli.artifacts.files import refuse_no_space, replacing
from cxrlt_cli.artifacts.row_layout import Layout, RowFormat, read_done, read_hashes, read_rows_layout
from cxrlt_cli.console import say
from cxrlt_cli.paths import exists
from cxrlt_cli.portable import allocate

#: What a file is made of: its format, its ids, the shape of a row.
Rows = tuple[RowFormat, list[str], tuple[int, ...]]


def create_rows(path: Path, rows: Rows, settings: dict[str, Any], source: dict[str, Any]) -> Layout:
    """Allocates the whole file, every row not done.

    Args:
        path: the file.
        rows: its format, ids, and the shape of a row.
        settings: how the rows are made; text and numbers.
        source: from what; text and numbers.

    Raises:
        UserError: no space for all the rows, or the folder cannot be written to.
    """
    form, ids, shape = rows
    row_bytes = prod(shape) * form.dtype.itemsize
    with replacing(path) as aside:
        refuse_no_space(path.parent, len(ids) * (row_bytes + 8 * form.hash_words(shape) + 1 + _longest(ids)) + (1 << 20))
        with _created(aside, rows, settings, source) as file:
            _allocate(file, form.rows, (len(ids), *shape), h5py.h5t.py_create(form.dtype))
        with aside.open("rb+") as handle:  # a sparse file would fail half-way through the work instead of now
            allocate(handle.fileno(), os.fstat(handle.fileno()).st_size)
    return read_rows_layout(path, form)


def file_to_resume(target: Path, part: Path, resume: bool) -> Path | None:
    """The file that a command continues; None where it starts a new one.

    Args:
        target: the whole file.
        part: the file while it is not complete.
        resume: whether `--resume` was given.
    """
    existing = next((path for path in (part, target) if exists(path)), None)
    if resume and existing is None:
        say(f"nothing to resume at {part}: starting")
    return existing if resume else None


def join_rows(path: Path, shards: list[Layout], source: dict[str, Any]) -> None:
    """Writes a file whose rows are a virtual dataset over the shards, in their order; `/done` and `/hash` are copied.

    Raises:
        UserError: the folder cannot be written to.
    """
    form, shape = shards[0].format, shards[0].shape
    ids = [name for shard in shards for name in shard.ids]
    virtual = h5py.VirtualLayout((len(ids), *shape), dtype=form.dtype)
    first = 0
    for shard in shards:
        if shard.ids:
            count = len(shard.ids)
            virtual[first : first + count] = h5py.VirtualSource(shard.path.name, form.rows, shape=(count, *shape))
            first += count
    with _created(path, (form, ids, shape), shards[0].settings, source, driver="core", backing_store=False) as file:
        file.create_virtual_dataset(form.rows, virtual)
        file["done"][:] = np.concatenate([read_done(shard) for shard in shards])
        file["hash"][:] = np.concatenate([read_hashes(shard) for shard in shards])
        file.flush()
        content = file.id.get_file_image()  # in memory: HDF5 itself does not survive a disk that is full
    with replacing(path) as aside:
        aside.write_bytes(content)


def _longest(ids: list[str]) -> int:
    return max(map(len, map(str.encode, ids)), default=1) or 1


@contextmanager
def _created(path: Path, rows: Rows, settings: dict[str, Any], source: dict[str, Any], **driver: Any) -> Iterator[h5py.File]:
    """A new file with everything but the rows; `driver` is h5py's."""
    form, ids, shape = rows
    encoded = np.array([name.encode() for name in ids], dtype=f"S{_longest(ids)}")
    with h5py.File(path, "w", libver=("v110", "v110"), **driver) as file:
        about = {**_prefixed("settings", settings), **_prefixed("source", source)}
        file.attrs.update({"format": form.name, "version": form.version, **dict(sorted(about.items()))})
        _allocate(file, "done", (len(ids),), h5py.h5t.STD_U8LE)
        _allocate(file, "hash", (len(ids), form.hash_words(shape)), h5py.h5t.STD_U64LE)
        file.create_dataset("id", data=encoded.astype(h5py.string_dtype("utf-8", encoded.itemsize)))
        yield file


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
