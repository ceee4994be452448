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
from cxrlt_cli.artifacts.parsing import damage_reported
from cxrlt_cli.errors import UserError, listed, reason
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
    """Raises ValueError where one is other than text or a number."""
    found = {key.removeprefix(f"{prefix}."): value for key, value in file.attrs.items() if key.startswith(f"{prefix}.")}
    found = {key: value.item() if isinstance(value, np.generic) else value for key, value in found.items()}
    strange = [key for key, value in found.items() if not isinstance(value, str | int | float)]
    if strange:
        raise ValueError(f"the attributes {listed(strange)} are neither text nor numbers")
    return found


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The file, after a check of its format.

    Raises:
        UserError: not there, not HDF5, cut short, of another format or version; also where the block raises anything else.
    """
    if not is_file(path):
        raise UserError(f"{path} is not there", "make it with: cxrlt cache")
    with damage_reported(path, _AGAIN):
        try:
            file = h5py.File(path, "r", locking=False)
        except OSError as error:
            raise UserError(f"{path} cannot be opened as HDF5: {reason(error)}", _AGAIN) from error
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
        images, done, hashes, ids = (_dataset(file, name) for name in ("images", "done", "hash", "id"))
        count, size, _ = images.shape
        _check_shapes(images, done, hashes, ids)
        offsets = [_offset(dataset, path) for dataset in (done, hashes)]
        names = [name.decode() for name in ids[:].tolist()]
        if len(set(names)) < count:
            raise ValueError("an image id is there twice")
        settings = _attributes(file, "settings")
        if settings.get("size", size) != size:
            raise ValueError(f"settings.size is {settings['size']}, the images have {size} px")
        sources = _virtual_sources(images, path) if images.is_virtual else None
        parts: tuple[Part, ...] = (Part(path, 0, count, 0 if images.is_virtual else _offset(images, path)),)
    if sources is not None:
        parts = _shards(path, sources, names, settings)
    return Layout(path, names, size, parts, offsets[0], offsets[1], settings)


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """A dataset of the file itself. Links could lead to any other file, which would then be read as this one."""
    if name not in file.keys():  # noqa: SIM118 - `in file` is false for a link that leads nowhere
        raise ValueError(f"it has no /{name}")
    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        raise ValueError(f"/{name} is a link or a group, not a dataset")
    dataset = file[name]
    if dataset.external or (dataset.is_virtual and name != "images"):
        raise ValueError(f"/{name} takes its values from another file")
    return dataset


def _check_shapes(images: h5py.Dataset, done: h5py.Dataset, hashes: h5py.Dataset, ids: h5py.Dataset) -> None:
    count, size, width = images.shape
    shapes = done.shape == ids.shape == (count,) and hashes.shape == (count, HASH_WORDS) and size == width > 0
    types = images.dtype == np.uint8 == done.dtype and hashes.dtype == np.uint64 and ids.dtype.kind == "S"
    if not (shapes and types):
        raise ValueError(f"its datasets do not have the shapes and types of {FORMAT}")


def _offset(dataset: h5py.Dataset, path: Path) -> int:
    """Where the bytes of a contiguous dataset begin, 0 for an empty one; all of them are in the file."""
    offset = dataset.id.get_offset()
    if not dataset.size:
        return 0
    if offset is None:
        raise ValueError(f"{dataset.name} is not stored as one block")
    if path.stat().st_size < offset + dataset.nbytes:
        raise UserError(f"{path} is cut short", _AGAIN)
    return int(offset)


def _virtual_sources(images: h5py.Dataset, path: Path) -> list[tuple[str, int, int]]:
    """(file name, first row, number of rows) of each shard, in the order of the rows; all as `join_images` writes them."""
    found, (_, size, _) = [], images.shape
    for source in images.virtual_sources():
        starts, ends = source.vspace.get_select_bounds()
        name, count = source.file_name, ends[0] - starts[0] + 1
        if source.dset_name != "images" or Path(name).name != name or name == path.name:
            raise ValueError(f"/images points to {source.dset_name!r} of {name!r}, which is not a shard beside it")
        whole = source.src_space.get_select_type() == h5py.h5s.SEL_ALL
        if not whole or (starts[1:], ends[1:]) != ((0, 0), (size - 1, size - 1)):
            raise ValueError(f"/images does not take all of {name!r}")
        found.append((name, starts[0], count))
    return sorted(found, key=lambda shard: shard[1])


def _shards(path: Path, sources: list[tuple[str, int, int]], ids: list[str], settings: dict[str, Any]) -> tuple[Part, ...]:
    """Checks every shard: HDF5 itself reads the rows of a missing one as black images, without an error."""
    missing = [name for name, _, _ in sources if not is_file(path.parent / name)]
    if missing:
        raise UserError(f"{path} was joined from shards that are not beside it: {listed(missing)}", _JOIN_AGAIN)
    parts: list[Part] = []
    for name, first, count in sources:
        with _opened(path.parent / name) as file:
            if file.get("images", getclass=True) is h5py.Dataset and file["images"].is_virtual:
                raise UserError(f"{path} is damaged: its shard {name} has no pixels of its own", _JOIN_AGAIN)
        shard = read_layout(path.parent / name)
        if shard.ids != ids[first : first + count] or shard.settings != settings:
            raise UserError(f"{shard.path} is not the shard that {path} was joined from", _JOIN_AGAIN)
        parts.append(Part(shard.path, first, count, shard.parts[0].offset))
    ends = [0, *(part.first + part.count for part in parts)]
    if [part.first for part in parts] != ends[:-1] or ends[-1] != len(ids):
        raise UserError(f"{path} was altered: its shards do not have its {len(ids)} rows, one after the other", _JOIN_AGAIN)
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
