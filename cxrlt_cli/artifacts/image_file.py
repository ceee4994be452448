"""`images/NAME.h5`: preprocessed gray images, one preallocated contiguous block that can be read and written in place.

`/images` uint8 (N, S, S), `/id` UTF-8 (N,), `/hash` uint64 (N, 5) by which the same picture is found again, `/done` uint8
(N,): 1 where the pixels of the row are on disk. All are contiguous and allocated at once, so that their bytes stand at fixed
offsets: worker processes write pixels side by side without HDF5's library, which stays closed, and a process that is killed
cannot damage the file. The file holds no time, so that the same input gives the same bytes.

Shards that were joined without copying have `/images` as a virtual dataset; the pixels are then read from the shards.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cxrlt_cli.artifacts.files import refuse_no_space, replacing
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_file

FORMAT, VERSION = "cxrlt images", 2
HASH_WORDS = 5
_AGAIN = "make it again with: cxrlt cache --overwrite"
_JOIN_AGAIN = "put the shards back beside it, or join them again: cxrlt join NAME --overwrite (--copy needs no shards later)"


@dataclass(frozen=True)
class Part:
    """Rows whose pixels stand one after the other in a file.

    Attributes:
        path: the file.
        first: the row, of the whole, that is the first here.
        count: number of rows.
        offset: byte offset of the first row's pixels.
    """

    path: Path
    first: int
    count: int
    offset: int


@dataclass(frozen=True)
class Layout:
    """Where the bytes of an image file stand.

    Attributes:
        path: the file.
        ids: image ids, a row each.
        size: side of the square, px.
        parts: where the pixels are: the file itself, or the shards that were joined.
        done: byte offset of `/done`.
        hashes: byte offset of `/hash`.
        settings: how the pixels were made (size, fit …), as `cache` recorded it.
    """

    path: Path
    ids: list[str]
    size: int
    parts: tuple[Part, ...]
    done: int
    hashes: int
    settings: dict[str, Any]


def create_images(path: Path, ids: list[str], size: int, settings: dict[str, Any], source: dict[str, Any]) -> Layout:
    """Allocates the whole file, every row not done.

    Raises:
        UserError: no space for all the pixels, or the folder cannot be written to.
    """
    with replacing(path) as aside:
        refuse_no_space(path.parent, len(ids) * (size * size + 8 * HASH_WORDS + 1 + _longest(ids)) + (1 << 20))
        with _created(aside, ids, settings, source) as file:
            _allocate(file, "images", (len(ids), size, size), h5py.h5t.STD_U8LE)
        with aside.open("rb+") as handle:  # a sparse file would fail half-way through the work instead of now
            os.posix_fallocate(handle.fileno(), 0, os.fstat(handle.fileno()).st_size)
    return read_layout(path)


def join_images(path: Path, shards: list[Layout], source: dict[str, Any]) -> None:
    """Writes a file whose `/images` is a virtual dataset over the shards, in their order; `/done` and `/hash` are copied.

    Raises:
        UserError: the folder cannot be written to.
    """
    size = shards[0].size
    ids = [name for shard in shards for name in shard.ids]
    virtual = h5py.VirtualLayout((len(ids), size, size), dtype=np.uint8)
    first = 0
    for shard in shards:
        if shard.ids:
            rows = len(shard.ids)
            virtual[first : first + rows] = h5py.VirtualSource(shard.path.name, "images", shape=(rows, size, size))
            first += rows
    with _created(path, ids, shards[0].settings, source, driver="core", backing_store=False) as file:
        file.create_virtual_dataset("images", virtual)
        file["done"][:] = np.concatenate([read_done(shard) for shard in shards])
        file["hash"][:] = np.concatenate([read_hashes(shard) for shard in shards])
        file.flush()
        content = file.id.get_file_image()  # in memory: HDF5 itself does not survive a disk that is full
    with replacing(path) as aside:
        aside.write_bytes(content)


def _longest(ids: list[str]) -> int:
    return max((len(name.encode()) for name in ids), default=1) or 1


@contextmanager
def _created(
    path: Path, ids: list[str], settings: dict[str, Any], source: dict[str, Any], **driver: Any
) -> Iterator[h5py.File]:
    """A new file with everything but the images; `driver` is h5py's."""
    encoded = np.array([name.encode() for name in ids], dtype=f"S{_longest(ids)}")
    with h5py.File(path, "w", libver=("v110", "v110"), **driver) as file:
        about = {**_prefixed("settings", settings), **_prefixed("source", source)}
        file.attrs.update({"format": FORMAT, "version": VERSION, **dict(sorted(about.items()))})
        _allocate(file, "done", (len(ids),), h5py.h5t.STD_U8LE)
        _allocate(file, "hash", (len(ids), HASH_WORDS), h5py.h5t.STD_U64LE)
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
    if not is_file(path):
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
    """Checks an image file, and the shards that it was joined from, and says where the bytes stand.

    Raises:
        UserError: not there, not HDF5, cut short, of another format or version, or altered; a shard is missing, was moved, is
            not complete or is another one.
    """
    with _opened(path) as file:
        try:
            images, done, hashes, ids = file["images"], file["done"], file["hash"], file["id"]
            count, size, width = images.shape
            offsets = done.id.get_offset(), hashes.id.get_offset()
            sources = _virtual_sources(images) if images.is_virtual else None
            first = None if sources is not None else images.id.get_offset()
        except (KeyError, ValueError, AttributeError) as error:
            raise UserError(f"{path} was altered: {error}", _AGAIN) from error
        shapes = done.shape == ids.shape == (count,) and hashes.shape == (count, HASH_WORDS) and size == width
        types = images.dtype == np.uint8 == done.dtype and hashes.dtype == np.uint64
        if not (shapes and types) or (count and None in offsets):
            raise UserError(f"{path} was altered: its datasets do not have the shapes and types of {FORMAT}", _AGAIN)
        names = b"\0".join(ids[:].tolist()).decode().split("\0") if count else []
        settings = _attributes(file, "settings")
    if sources is None:
        if count and (first is None or path.stat().st_size < first + count * size * size):
            raise UserError(f"{path} is cut short", _AGAIN)
        parts: tuple[Part, ...] = (Part(path, 0, count, first or 0),)
    else:
        parts = _shards(path, sources, names, settings)
    return Layout(path, names, size, parts, offsets[0] or 0, offsets[1] or 0, settings)


def _virtual_sources(images: h5py.Dataset) -> list[tuple[str, int, int]]:
    """(file name, first row, number of rows) of each shard, in the order of the rows."""
    found = []
    for source in images.virtual_sources():
        first, last = source.vspace.get_select_bounds()
        found.append((source.file_name, first[0], last[0] - first[0] + 1))
    return sorted(found, key=lambda shard: shard[1])


def _shards(path: Path, sources: list[tuple[str, int, int]], ids: list[str], settings: dict[str, Any]) -> tuple[Part, ...]:
    """Checks every shard: HDF5 itself reads the rows of one that is not there as black images, and says nothing."""
    missing = [name for name, _, _ in sources if not is_file(path.parent / name)]
    if missing:
        raise UserError(f"{path} was joined from shards that are not beside it: {listed(missing)}", _JOIN_AGAIN)
    parts = []
    for name, first, count in sources:
        shard = read_layout(path.parent / name)
        if shard.ids != ids[first : first + count] or shard.settings != settings:
            raise UserError(f"{shard.path} is not the shard that {path} was joined from", _JOIN_AGAIN)
        parts.append(Part(shard.path, first, count, shard.parts[0].offset))
    if sum(part.count for part in parts) != len(ids):
        raise UserError(f"{path} was altered: its shards have not {len(ids)} rows", _JOIN_AGAIN)
    return tuple(parts)


def read_done(layout: Layout) -> np.ndarray:
    """(N,) bool: the rows whose pixels are on disk."""
    return np.asarray(_bytes_at(layout, layout.done, len(layout.ids)) == 1)


def read_hashes(layout: Layout) -> np.ndarray:
    """(N, 5) uint64: see `preprocess.image_hashes`; of no meaning where a row is not done."""
    found = _bytes_at(layout, layout.hashes, len(layout.ids) * HASH_WORDS * 8)
    return found.view("<u8").reshape(-1, HASH_WORDS)


def _bytes_at(layout: Layout, offset: int, count: int) -> np.ndarray:
    with layout.path.open("rb") as file:
        file.seek(offset)
        return np.frombuffer(file.read(count), dtype=np.uint8)
