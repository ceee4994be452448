"""`features/NAME.h5`: feature maps of a frozen encoder, a row file (`artifacts.row_file`).

`/features` float16 (N, V, C, h, w) holds V views of N images, the first of which is the image as it is. `/hash` uint64
(N, 1 + V) holds the hash of an image's pixels, as in `images/NAME.h5`, then that of each view's map.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.json_files import read_json, write_json
from cxrlt_cli.artifacts.origin import Origin, saved_origin
from cxrlt_cli.artifacts.parsing import damage_reported, parse, plain, require_size
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.artifacts.row_access import RowReader, content_hash
from cxrlt_cli.artifacts.row_file import create_rows
from cxrlt_cli.artifacts.row_layout import Layout, RowFormat, read_hashes, read_row_attributes, read_rows_layout
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_file

FORMAT, VERSION = "cxrlt features", 1


def _hash_words(shape: tuple[int, ...]) -> int:
    return 1 + shape[0] if len(shape) == 4 and min(shape) > 0 else 0


FEATURES = RowFormat(
    FORMAT,
    VERSION,
    "features",
    "features",
    np.dtype("<f2"),
    _hash_words,
    command="cxrlt features",
    join="cxrlt join NAME --features",
    incomplete="continue it with: cxrlt features --resume",
)


@dataclass(frozen=True)
class FeatureSettings:
    """How feature maps were made.

    Attributes:
        encoder: as in `--encoder`.
        weights: what `--weights` resolved to.
        weights_sha256: of the encoder's weights and its input range (`model.encoder.weights_digest`).
        origin: of a published encoder's weights; None for others.
        stride: image pixels per position.
        grid: side of the map after average pooling; 0 where it is not pooled.
        views: maps of an image: the image as it is, then randomly augmented.
        seed: of the augmentation.
        precision: fp32, bf16 or fp16, in which the encoder computed.
        pixels: settings of the cached images.
    """

    encoder: str
    weights: str
    weights_sha256: str
    origin: Origin | None
    stride: int
    grid: int
    views: int
    seed: int
    precision: str
    pixels: dict[str, Any]

    def __post_init__(self) -> None:
        require_size(self.pixels, "settings.pixels")

    def saved(self) -> dict[str, Any]:
        """As attributes of the file: text and numbers."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        origin = json.dumps(self.origin.saved()) if self.origin else ""
        return {**values, "origin": origin, "pixels": json.dumps(self.pixels)}


@dataclass(frozen=True)
class FeatureSource:
    """The images whose features a file holds.

    Attributes:
        kind: dataset or cache.
        images: name of the file.
        images_sha256: of the ids and pixels of all images, those of other shards too.
        shard: as in 0/4; empty for all.
    """

    kind: str
    images: str
    images_sha256: str
    shard: str = ""

    def saved(self) -> dict[str, Any]:
        """As attributes of the file."""
        return {key: value for key, value in asdict(self).items() if value or key != "shard"}


@dataclass(frozen=True)
class FeatureFile:
    """A features file, finished or not: its layout and what its attributes say."""

    layout: Layout
    settings: FeatureSettings
    source: FeatureSource

    @property
    def map_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a map."""
        _, channels, height, width = self.layout.shape
        return channels, height, width


@dataclass(frozen=True)
class FeatureRecord:
    """`features/NAME.json`: what made the file beside it; the file itself holds no time and no paths."""

    images: int
    settings: dict[str, Any]
    provenance: Provenance = field(default_factory=Provenance)
    format: str = "cxrlt features record"
    version: int = 1


def create_features(
    path: Path, ids: list[str], map_shape: tuple[int, int, int], settings: FeatureSettings, source: FeatureSource
) -> FeatureFile:
    """Allocates a file for the maps of some images.

    Args:
        path: the file.
        ids: of the images.
        map_shape: channels, height and width of a map.
        settings: how the maps are made.
        source: the images.

    Raises:
        UserError: no space for all the maps, or the folder cannot be written to.
    """
    layout = create_rows(path, (FEATURES, ids, (settings.views, *map_shape)), settings.saved(), source.saved())
    return FeatureFile(layout, settings, source)


def read_features(path: Path) -> FeatureFile:
    """Checks a features file. Raises UserError as `read_rows_layout`, or where its attributes do not fit its maps."""
    layout = read_rows_layout(path, FEATURES)
    with damage_reported(path, FEATURES.again):
        settings = parse(FeatureSettings, _with_objects(layout.settings), path, FEATURES.again)
        source = parse(FeatureSource, read_row_attributes(path, FEATURES, "source"), path, FEATURES.again)
        views, _, height, width = layout.shape
        if settings.views != views or (settings.grid and (settings.grid, settings.grid) != (height, width)):
            raise ValueError(f"its maps are {views} x {height} x {width}, its settings say otherwise")
    return FeatureFile(layout, settings, source)


def _with_objects(saved: dict[str, Any]) -> dict[str, Any]:
    """The reverse of `FeatureSettings.saved`, as plain values. Raises ValueError or KeyError where it cannot be."""
    origin = json.loads(saved["origin"]) if saved["origin"] else None
    if origin is not None and saved_origin(origin) is None:
        raise ValueError("settings.origin is not the origin of weights")
    return {**saved, "origin": origin, "pixels": json.loads(saved["pixels"])}


def record_path(path: Path) -> Path:
    """The record beside a features file."""
    return path.with_suffix(".json")


def write_feature_record(path: Path, record: FeatureRecord) -> None:
    """Writes the record beside the features file `path`."""
    write_json(record_path(path), plain(record))


def read_feature_record(path: Path) -> FeatureRecord | None:
    """The record beside a features file; None where it is not there. Raises UserError where it is damaged."""
    place = record_path(path)
    return parse(FeatureRecord, read_json(place), place, FEATURES.again) if is_file(place) else None


class FeatureReader(RowReader):
    """Random access to the maps of a file. Each is compared with its hash when it is read for the first time."""

    def __init__(self, file: FeatureFile) -> None:
        super().__init__(file.layout)
        self.pixel_hashes = read_hashes(file.layout)[:, 0]
        self._hashes = read_hashes(file.layout)[:, 1:]
        self._compared = np.zeros(self._hashes.shape, dtype=bool)

    def read(self, rows: np.ndarray, views: np.ndarray) -> np.ndarray:
        """(B, C, h, w) float16 maps of (B,) rows and views, in their order.

        Raises:
            UserError: a row has no maps, the file was cut short, or a map was changed after it was stored.
        """
        out = np.empty((len(rows), *self.layout.shape[1:]), dtype=self.layout.format.dtype)
        self.read_into(rows, out, np.arange(len(rows)), views)
        new = np.flatnonzero(~self._compared[rows, views])
        changed = [at for at in new if content_hash(out[at]) != self._hashes[rows[at], views[at]]]
        if changed:
            names = listed(self.layout.ids[rows[at]] for at in changed)
            raise UserError(
                f"{self.layout.path} is damaged: features were changed after they were stored: {names}", FEATURES.again
            )
        self._compared[rows, views] = True
        return out
