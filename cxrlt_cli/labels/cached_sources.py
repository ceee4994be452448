"""The cached sources of a workspace: reads their tables and checks that the pixels are there."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.data_sources import DataSource, joined_sources
from cxrlt_cli.artifacts.files import sha256_of
from cxrlt_cli.artifacts.image_file import read_attributes, read_layout
from cxrlt_cli.artifacts.predictions import read_predictions_header
from cxrlt_cli.artifacts.row_layout import read_done, read_hashes
from cxrlt_cli.artifacts.source_table import SourceTable, read_source_table
from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed, nearest
from cxrlt_cli.paths import why_absent

#: Kind -> the kind whose images and patients it labels again.
_SAME_PATIENTS = {"google-nih": "chestxray14"}


@dataclass(frozen=True)
class CachedSource:
    """A cached source.

    Attributes:
        name: of the files under `images/`.
        images: the image file.
        table: labels and metadata of its images.
        settings: how the pixels were made.
        hashes: (N, 5) uint64, one row per image of the table; see `preprocess.image_hashes`.
    """

    name: str
    images: Path
    table: SourceTable
    settings: dict[str, Any]
    hashes: np.ndarray

    @property
    def owner(self) -> str:
        """The dataset that the patients belong to: all caches of one published dataset have the same patients."""
        return self.name if self.table.kind == "table" else _SAME_PATIENTS.get(self.table.kind, self.table.kind)


def read_sources(folder: Path, wanted: tuple[str, ...], train_only: tuple[str, ...]) -> list[CachedSource]:
    """The sources to merge, sorted by name, so that the result does not depend on their order.

    Args:
        folder: of the cached images.
        wanted: names of the sources; empty for all of the folder.
        train_only: names of sources that only add training images.

    Raises:
        UserError: no source, an unknown one, missing pixels, or pixels with different settings.
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


def data_sources_of(sources: list[CachedSource], pseudo: Path | None) -> list[DataSource] | None:
    """What a dataset is made from; None where the scores that are its pseudo-labels do not record what they learned from."""
    scored = read_predictions_header(pseudo).data_sources if pseudo else []
    return joined_sources([source.table.data_source for source in sources], scored)


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
            raise UserError(f"{name!r} is not a cached source{nearest(name, there)}", f"{folder} has: {', '.join(there)}")
    return sorted(set(wanted)) or there


def _warn_of_changed_inputs(source: CachedSource) -> None:
    """Warns if a table has changed since the source was cached: the labels of then are used."""
    for file in source.table.header.provenance.inputs:
        path = Path(file.path)
        if not why_absent(path) and sha256_of(path) != file.sha256:
            again = "cxrlt cache … --resume writes the labels again, without decoding"
            if ".shard-" in path.name:
                again = f"cxrlt join {source.name} --overwrite joins it again"
            warn(f"{path} has changed since {source.name} was cached; the earlier labels are merged; {again}")


def _read(folder: Path, name: str) -> CachedSource:
    source = read_source_table(folder / f"{name}.parquet")
    images = folder / f"{name}.h5"
    layout = read_layout(images)
    again = f"make the cache again: cxrlt cache --name {name} --overwrite"
    made_from = read_attributes(images, "source")
    made_from.pop("labels_sha256", None)  # the table is rewritten if only labels have changed
    if any(source.header.identity.get(key) != value for key, value in made_from.items()):
        raise UserError(f"{images} and {folder / name}.parquet were written by different runs of cache", again)
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
