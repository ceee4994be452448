"""The cached images whose features are stored: those of a dataset, or of one cache."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.files import InputFile, fingerprint
from cxrlt_cli.artifacts.image_pixels import ImageReader
from cxrlt_cli.artifacts.row_access import content_hash
from cxrlt_cli.artifacts.row_layout import read_hashes
from cxrlt_cli.console import warn
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_file


@dataclass(frozen=True)
class SourceImages:
    """Images to encode.

    Attributes:
        kind: of the file that names them.
        file: that file.
        ids: of the images.
        hashes: (N,) uint64, of the pixels as they were cached.
        pixels: settings of the pixels.
        load: (B,) rows -> (B, S, S) uint8.
    """

    kind: Literal["dataset", "cache"]
    file: InputFile
    ids: list[str]
    hashes: np.ndarray
    pixels: dict[str, Any]
    load: Callable[[np.ndarray], np.ndarray]

    @property
    def sha256(self) -> str:
        """Of the ids and pixels of all images."""
        digest = hashlib.sha256(json.dumps(self.ids).encode())
        digest.update(self.hashes.tobytes())
        return digest.hexdigest()

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(B, S, S) uint8 of (B,) rows. Raises UserError where pixels were changed after they were cached."""
        pixels = self.load(rows)
        changed = [self.ids[row] for row, square in zip(rows, pixels, strict=True) if content_hash(square) != self.hashes[row]]
        if changed:
            raise UserError(
                f"{self.file.path}: pixels were changed after they were cached: {listed(changed)}",
                "make the cache again: cxrlt cache --overwrite",
            )
        return pixels


def open_images(path: Path) -> SourceImages:
    """The images of a dataset, or of a cache (`images/NAME.h5`).

    Raises:
        UserError: it is missing or damaged, or has no pixels.
    """
    file = fingerprint(path) if is_file(path) else InputFile(str(path))
    if path.suffix == ".h5":
        return _of_cache(path, file)
    dataset = read_dataset(path)
    images = DatasetImages(dataset)
    return SourceImages("dataset", file, list(dataset.table["image_id"]), images.pixel_hashes(), dataset.settings, images.read)


def _of_cache(path: Path, file: InputFile) -> SourceImages:
    """The images of a cache that have pixels."""
    reader = ImageReader(path)
    rows = np.flatnonzero(reader.done)
    if not len(rows):
        raise UserError(f"{path} has no image with pixels", "continue it with: cxrlt cache --resume")
    if len(rows) < len(reader.done):
        warn(f"{len(reader.done) - len(rows)} images of {path} have no pixels: left out")
    ids = [reader.layout.ids[row] for row in rows]
    hashes = read_hashes(reader.layout)[rows, 0]
    return SourceImages("cache", file, ids, hashes, reader.layout.settings, lambda some: reader.read(rows[some]))
