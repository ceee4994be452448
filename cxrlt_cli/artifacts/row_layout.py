"""Where the bytes of a row file (`artifacts.row_file`) stand, checked before any of them is used."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cxrlt_cli.artifacts.parsing import damage_reported
from cxrlt_cli.errors import UserError, listed, reason
from cxrlt_cli.paths import is_file


@dataclass(frozen=True)
class RowFormat:
    """A kind of row file.

    Attributes:
        name, version: as in the attributes `format` and `version`.
        rows: the dataset with the rows.
        content: what a row holds, for messages.
        dtype: of its values.
        hash_words: shape of a row -> 64-bit words of its hash; 0 for a shape that no row of this format has.
        command: that makes the file.
        join: that joins its shards.
        incomplete: what to do about a row that is not there.
    """

    name: str
    version: int
    rows: str
    content: str
    dtype: np.dtype[Any]
    hash_words: Callable[[tuple[int, ...]], int]
    command: str
    join: str
    incomplete: str

    @property
    def again(self) -> str:
        """The hint for a file that cannot be used."""
        return f"make it again with: {self.command} --overwrite"

    @property
    def join_again(self) -> str:
        """The hint for a joined file whose shards cannot be used."""
        return f"put the shards back beside it, or join them again: {self.join} --overwrite (--copy needs no shards later)"


@dataclass(frozen=True)
class Part:
    """Rows that stand one after the other in a file.

    Attributes:
        path: the file.
        first: the row, of the whole, that is the first here.
        count: number of rows.
        offset: byte offset of the first row.
    """

    path: Path
    first: int
    count: int
    offset: int


@dataclass(frozen=True)
class Layout:
    """Where the bytes of a row file stand.

    Attributes:
        path: the file.
        format: of the file.
        ids: image ids, a row each.
        shape: of a row.
        parts: where the rows are: the file itself, or the shards that were joined.
        done: byte offset of `/done`.
        hashes: byte offset of `/hash`.
        settings: how the rows were made, as the command recorded it.
    """

    path: Path
    format: RowFormat
    ids: list[str]
    shape: tuple[int, ...]
    parts: tuple[Part, ...]
    done: int
    hashes: int
    settings: dict[str, Any]

    @property
    def size(self) -> int:
        """The last axis of a row: side of the square, px, or width of the map."""
        return self.shape[-1]

    @property
    def hash_words(self) -> int:
        """64-bit words of the hash of a row."""
        return self.format.hash_words(self.shape)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return prod(self.shape) * self.format.dtype.itemsize


def format_of(path: Path) -> str:
    """The attribute `format` of an HDF5 file; empty where it has none or cannot be opened."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            return str(file.attrs.get("format", ""))
    except (OSError, RuntimeError, ValueError, KeyError):
        return ""


def read_row_attributes(path: Path, form: RowFormat, prefix: str) -> dict[str, Any]:
    """The attributes that `create_rows` wrote as `settings` or `source`. Raises UserError as `read_rows_layout`."""
    with _opened(path, form) as file:
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
def _opened(path: Path, form: RowFormat) -> Iterator[h5py.File]:
    """The file, after a check of its format.

    Raises:
        UserError: not there, not HDF5, cut short, of another format or version; also where the block raises anything else.
    """
    if not is_file(path):
        raise UserError(f"{path} is not there", f"make it with: {form.command}")
    with damage_reported(path, form.again):
        try:
            file = h5py.File(path, "r", locking=False)
        except OSError as error:
            raise UserError(f"{path} cannot be opened as HDF5: {reason(error)}", form.again) from error
        with file:
            if file.attrs.get("format") != form.name:
                raise UserError(f"{path} is an HDF5 file of another origin, not {form.name}", form.again)
            if file.attrs.get("version") != form.version:
                raise UserError(f"{path} has version {file.attrs.get('version')}, this cxrlt reads {form.version}", form.again)
            yield file


def read_rows_layout(path: Path, form: RowFormat) -> Layout:
    """Checks a row file, and the shards that it was joined from, and says where the bytes stand.

    Raises:
        UserError: not there, not HDF5, cut short, of another format or version, or altered; a shard is missing, was moved, is
            not complete or is another one.
    """
    with _opened(path, form) as file:
        rows, done, hashes, ids = (_dataset(file, name, form) for name in (form.rows, "done", "hash", "id"))
        count, *shape = rows.shape
        _check_shapes((rows, done, hashes, ids), form)
        offsets = [_offset(dataset, path, form) for dataset in (done, hashes)]
        names = [name.decode() for name in ids[:].tolist()]
        if len(set(names)) < count:
            raise ValueError("an image id is there twice")
        settings = _attributes(file, "settings")
        sources = _virtual_sources(rows, path) if rows.is_virtual else None
        parts: tuple[Part, ...] = (Part(path, 0, count, 0 if rows.is_virtual else _offset(rows, path, form)),)
    layout = Layout(path, form, names, tuple(shape), parts, offsets[0], offsets[1], settings)
    return layout if sources is None else replace(layout, parts=_shards(layout, sources))


def _dataset(file: h5py.File, name: str, form: RowFormat) -> h5py.Dataset:
    """A dataset of the file itself. Links could lead to any other file, which would then be read as this one."""
    if name not in file.keys():  # noqa: SIM118 - `in file` is false for a link that leads nowhere
        raise ValueError(f"it has no /{name}")
    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        raise ValueError(f"/{name} is a link or a group, not a dataset")
    dataset = file[name]
    if dataset.external or (dataset.is_virtual and name != form.rows):
        raise ValueError(f"/{name} takes its values from another file")
    return dataset


def _check_shapes(datasets: tuple[h5py.Dataset, h5py.Dataset, h5py.Dataset, h5py.Dataset], form: RowFormat) -> None:
    rows, done, hashes, ids = datasets
    count, *shape = rows.shape
    words = form.hash_words(tuple(shape))
    shapes = words > 0 and done.shape == ids.shape == (count,) and hashes.shape == (count, words)
    types = rows.dtype == form.dtype and done.dtype == np.uint8 and hashes.dtype == np.uint64 and ids.dtype.kind == "S"
    if not (shapes and types):
        raise ValueError(f"its datasets do not have the shapes and types of {form.name}")


def _offset(dataset: h5py.Dataset, path: Path, form: RowFormat) -> int:
    """Where the bytes of a contiguous dataset begin, 0 for an empty one; all of them are in the file."""
    offset = dataset.id.get_offset()
    if not dataset.size:
        return 0
    if offset is None:
        raise ValueError(f"{dataset.name} is not stored as one block")
    if path.stat().st_size < offset + dataset.nbytes:
        raise UserError(f"{path} is cut short", form.again)
    return int(offset)


def _virtual_sources(rows: h5py.Dataset, path: Path) -> list[tuple[str, int, int]]:
    """(file name, first row, number of rows) of each shard, in the order of the rows; all as `join_rows` writes them."""
    found, own, ends_of_row = [], rows.name.removeprefix("/"), tuple(length - 1 for length in rows.shape[1:])
    for source in rows.virtual_sources():
        starts, ends = source.vspace.get_select_bounds()
        name, count = source.file_name, ends[0] - starts[0] + 1
        if source.dset_name != own or Path(name).name != name or name == path.name:
            raise ValueError(f"/{own} points to {source.dset_name!r} of {name!r}, which is not a shard beside it")
        whole = source.src_space.get_select_type() == h5py.h5s.SEL_ALL
        if not whole or any(starts[1:]) or tuple(ends[1:]) != ends_of_row:
            raise ValueError(f"/{own} does not take all of {name!r}")
        found.append((name, starts[0], count))
    return sorted(found, key=lambda shard: shard[1])


def _shards(whole: Layout, sources: list[tuple[str, int, int]]) -> tuple[Part, ...]:
    """Checks every shard: HDF5 itself reads the rows of a missing one as zeros, without an error."""
    path, form = whole.path, whole.format
    missing = [name for name, _, _ in sources if not is_file(path.parent / name)]
    if missing:
        raise UserError(f"{path} was joined from shards that are not beside it: {listed(missing)}", form.join_again)
    parts: list[Part] = []
    for name, first, count in sources:
        with _opened(path.parent / name, form) as file:
            if file.get(form.rows, getclass=True) is h5py.Dataset and file[form.rows].is_virtual:
                raise UserError(f"{path} is damaged: its shard {name} has no {form.content} of its own", form.join_again)
        shard = read_rows_layout(path.parent / name, form)
        if (shard.ids, shard.settings, shard.shape) != (whole.ids[first : first + count], whole.settings, whole.shape):
            raise UserError(f"{shard.path} is not the shard that {path} was joined from", form.join_again)
        parts.append(Part(shard.path, first, count, shard.parts[0].offset))
    ends = [0, *(part.first + part.count for part in parts)]
    if [part.first for part in parts] != ends[:-1] or ends[-1] != len(whole.ids):
        text = f"{path} was altered: its shards do not have its {len(whole.ids)} rows, one after the other"
        raise UserError(text, form.join_again)
    return tuple(parts)


def read_done(layout: Layout) -> np.ndarray:
    """(N,) bool: the rows that are on disk."""
    return np.asarray(_bytes_at(layout, layout.done, len(layout.ids)) == 1)


def read_hashes(layout: Layout) -> np.ndarray:
    """(N, words) uint64: the hashes of the rows; of no meaning where a row is not done."""
    found = _bytes_at(layout, layout.hashes, len(layout.ids) * layout.hash_words * 8)
    return found.view("<u8").reshape(-1, layout.hash_words)


def _bytes_at(layout: Layout, offset: int, count: int) -> np.ndarray:
    with layout.path.open("rb") as file:
        file.seek(offset)
        return np.frombuffer(file.read(count), dtype=np.uint8)
