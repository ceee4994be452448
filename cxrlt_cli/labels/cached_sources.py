"""The cached sources of a workspace, checked: their tables, and that the pixels are there."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.files import sha256_of
from cxrlt_cli.artifacts.image_file import read_attributes, read_done, read_hashes, read_layout
from cxrlt_cli.artifacts.provenance import provenance_of
from cxrlt_cli.artifacts.source_table import SourceTable, read_source_table
from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed, nearest
from cxrlt_cli.paths import why_absent

#: Kind -> the kind whose images and patients it labels again.
_SAME_PATIENTS = {"google-nih": "chestxray14"}


@dataclass(frozen=True)
class CachedSource:
    """A cached source under its name.

    Attributes:
        name: of the files under `images/`.
        images: the image file.
        table: what the source says of its images.
        settings: how the pixels were made.
        hashes: (N, 5) uint64, a row an image of the table; see `preprocess.image_hashes`.
    """

    name: str
    images: Path
    table: SourceTable
    settings: dict[str, Any]
    hashes: np.ndarray

    @property
    def owner(self) -> str:
        """Whose patients these are: a published dataset's are the same in each of its caches."""
        return self.name if self.table.kind == "table" else _SAME_PATIENTS.get(self.table.kind, self.table.kind)


def read_sources(folder: Path, wanted: tuple[str, ...], train_only: tuple[str, ...]) -> list[CachedSource]:
    """The sources to merge, by name: the result does not depend on the order in which they are given.

    Args:
        folder: of the cached images.
        wanted: names of the sources; all of the folder where there are none.
        train_only: names of sources that only add training images.

    Raises:
        UserError: none, one that is not there, pixels that are not there or were made otherwise.
    """
    names = _names(folder, wanted, train_only)
    with ThreadPoolExecutor(len(names)) as pool:
        sources = list(pool.map(lambda name: _read(folder, name), names))
    for source in sources:
        _warn_of_changed_inputs(source)
    first = sources[0]
    for source in sources[1:]:
        if source.settings != first.settings:
            raise UserError(
                f"pixels were made differently: {first.name} {first.settings}, {source.name} {source.settings}",
                "cache them with the same --size, --fit … (and another --name), or merge fewer: --source NAME",
            )
    return sources


def _names(folder: Path, wanted: tuple[str, ...], train_only: tuple[str, ...]) -> list[str]:
    there = sorted(path.stem for path in folder.glob("*.parquet") if ".shard-" not in path.name)
    shards = {path.name.partition(".shard-")[0] for path in folder.glob("*.shard-*.parquet")}
    unjoined = sorted(shards - set(there))
    unfinished = sorted(path.name for path in folder.glob("*.h5.part"))
    if unjoined and not wanted:
        warn(f"shards that are not joined are not merged: {listed(unjoined)} (cxrlt join NAME)")
    if unfinished and not wanted:
        warn(f"unfinished caches are not merged: {listed(unfinished)} (cxrlt cache --resume)")
    if not there:
        raise UserError(f"{folder} holds no cached source", "make one with: cxrlt cache --source KIND=PATH")
    for name in (*wanted, *train_only):
        if name not in there:
            raise UserError(f"{name!r} is no cached source{nearest(name, there)}", f"{folder} has: {', '.join(there)}")
    return sorted(set(wanted)) or there


def _warn_of_changed_inputs(source: CachedSource) -> None:
    """Says where a table is not what it was when the source was cached: its labels are used as they were then."""
    for file in provenance_of(source.table.header).inputs:
        path = Path(file.path)
        if not why_absent(path) and sha256_of(path) != file.sha256:
            again = "cxrlt cache … --resume writes the labels again, without decoding"
            if ".shard-" in path.name:
                again = f"cxrlt join {source.name} --overwrite takes it in"
            warn(f"{path} changed since {source.name} was cached, whose labels are merged as they were; {again}")


def _read(folder: Path, name: str) -> CachedSource:
    source = read_source_table(folder / f"{name}.parquet")
    images = folder / f"{name}.h5"
    layout = read_layout(images)
    again = f"make the cache again: cxrlt cache --name {name} --overwrite"
    made_from = read_attributes(images, "source")
    made_from.pop("labels_sha256", None)  # the table is written again where only labels changed
    if any(source.header.get(key) != value for key, value in made_from.items()):
        raise UserError(f"{images} and {folder / name}.parquet are of two different runs of cache", again)
    done = read_done(layout)
    rows = source.table["row"].to_numpy()
    inside = (rows >= 0) & (rows < len(done))
    sound = inside.copy()
    ids = np.array(layout.ids, dtype=object)
    sound[inside] = done[rows[inside]] & (ids[rows[inside]] == source.table["image_id"].to_numpy(dtype=object)[inside])
    if not sound.all():
        absent = source.table["image_id"][~sound]
        raise UserError(f"{len(absent)} images of {name} have no pixels in {images}: {listed(absent)}", again)
    return CachedSource(name, images, source, layout.settings, read_hashes(layout)[rows])
