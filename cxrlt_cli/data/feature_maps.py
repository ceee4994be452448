"""Stored feature maps of a dataset's rows, in place of their pixels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.artifacts.features_file import FEATURES, FeatureFile, FeatureReader
from cxrlt_cli.artifacts.image_file import read_layout
from cxrlt_cli.artifacts.row_layout import read_done, read_hashes
from cxrlt_cli.data.rng import Stream, uniform
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_file

_BLOCK = 64  # maps read at a time


class FeatureMaps:
    """Random access to the maps of a dataset's images."""

    def __init__(self, dataset: Dataset, file: FeatureFile) -> None:
        """Finds the maps of every row. Raises UserError as `rows_of_dataset`."""
        self._reader, self._rows = FeatureReader(file), rows_of_dataset(dataset, file)
        self.views = file.settings.views

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(B, C, h, w) float16 maps of the images as they are, of (B,) dataset rows, in the given order."""
        return self.read_views(rows, np.zeros_like(rows))

    def read_views(self, rows: np.ndarray, views: np.ndarray) -> np.ndarray:
        """(B, C, h, w) float16 maps of one view of each of (B,) dataset rows. Raises UserError where a map is damaged."""
        return self._reader.read(self._rows[rows], views)

    def verify(self) -> None:
        """Reads all maps and compares them with their hashes. Raises UserError where some are damaged."""
        for rows in np.split(np.arange(len(self)), range(_BLOCK, len(self), _BLOCK)):
            for view in range(self.views):
                self.read_views(rows, np.full_like(rows, view))

    def in_epoch(self, seed: int, epoch: int) -> "EpochMaps":
        """What an epoch of training reads: one view of each image, drawn at random."""
        return EpochMaps(self, seed, epoch)


@dataclass(frozen=True)
class EpochMaps:
    """The maps of an epoch: seed, epoch and row decide which view of an image is read."""

    maps: FeatureMaps
    seed: int
    epoch: int

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(B, C, h, w) float16 maps of (B,) dataset rows, in the given order."""
        views = (uniform(self.seed, self.epoch, rows, Stream.VIEW) * self.maps.views).astype(np.int64)
        return self.maps.read_views(rows, views)


def rows_of_dataset(dataset: Dataset, file: FeatureFile) -> np.ndarray:
    """(N,) the row of a features file that each image of a dataset has.

    Raises:
        UserError: the pixels were made with other settings, or images have no maps.
    """
    path, settings = file.layout.path, file.settings
    if settings.pixels != dataset.settings:
        raise UserError(
            f"{path} was made from pixels {settings.pixels}, {dataset.path} has {dataset.settings}",
            "make features of this dataset: cxrlt features, or name the dataset that they were made from",
        )
    row = {name: number for number, name in enumerate(file.layout.ids)}
    ids = dataset.table["image_id"].tolist()
    done = read_done(file.layout)
    absent = [name for name in ids if name not in row or not done[row[name]]]
    if absent:
        raise UserError(
            f"{path} has no features for {len(absent)} of {len(ids)} images of {dataset.path}: {listed(absent)}",
            f"make features of this dataset: {FEATURES.command} {dataset.path}",
        )
    return np.array([row[name] for name in ids], dtype=np.int64)


def refuse_other_pixels(dataset: Dataset, file: FeatureFile) -> list[Path]:
    """Compares the pixels of a dataset with those that features were made from, by the hashes in the image files.

    Returns:
        The image files that are not on this machine: only the settings of their pixels were compared.

    Raises:
        UserError: the settings or the pixels of an image differ, or an image has no maps.
    """
    rows = rows_of_dataset(dataset, file)
    hashes = read_hashes(file.layout)[:, 0]
    caches = dataset.table["cache"].to_numpy()
    absent = []
    for name in sorted(set(caches)):
        path = dataset.path.parent / name
        if not is_file(path):
            absent.append(path)
            continue
        at = np.flatnonzero(caches == name)
        own, places = read_hashes(read_layout(path))[:, 0], dataset.table["row"].to_numpy()[at]
        other = at[own[places] != hashes[rows[at]]] if places.max() < len(own) else at
        if len(other):
            names = listed(dataset.table["image_id"].iloc[other])
            raise UserError(
                f"{file.layout.path} was made from other pixels than {path} has, of {len(other)} images: {names}",
                f"make the features again: {FEATURES.command} --overwrite",
            )
    return absent
