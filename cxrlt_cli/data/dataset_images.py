"""Pixels of a dataset's rows, read from the image files it points to."""

import numpy as np

from cxrlt_cli.artifacts.dataset import Dataset, require_pixels
from cxrlt_cli.artifacts.image_pixels import ImageReader
from cxrlt_cli.artifacts.row_layout import read_hashes
from cxrlt_cli.console import say
from cxrlt_cli.errors import UserError, listed


class DatasetImages:
    """Random access to the images of a dataset."""

    def __init__(self, dataset: Dataset) -> None:
        """Opens and checks every image file that the dataset points to.

        Raises:
            UserError: the dataset has no pixels; or a file is missing or damaged, was cached with other settings, or its image
                ids differ from the dataset's.
        """
        require_pixels(dataset)
        codes, self._files = _factorized(dataset)
        assert (codes >= 0).all(), "`read` would leave rows without a file as they are; read_dataset refuses them"
        self._readers = [ImageReader(dataset.path.parent / name) for name in self._files]
        self._reader_of, self._rows = codes, dataset.table["row"].to_numpy()
        self.size = int(dataset.settings["size"])
        for code, reader in enumerate(self._readers):
            _check(dataset, reader, np.flatnonzero(codes == code))

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(B, S, S) uint8 pixels of (B,) dataset rows, in the given order."""
        out = np.empty((len(rows), self.size, self.size), dtype=np.uint8)
        for code, reader in enumerate(self._readers):
            at = np.flatnonzero(self._reader_of[rows] == code)
            if len(at):
                reader.read_into(self._rows[rows[at]], out, at)
        return out

    def in_epoch(self, _seed: int, _epoch: int) -> "DatasetImages":
        """What an epoch of training reads: the same pixels in every one."""
        return self

    def pixel_hashes(self) -> np.ndarray:
        """(N,) uint64: the hashes of the pixels as they were cached."""
        found = np.empty(len(self), dtype=np.uint64)
        for code, reader in enumerate(self._readers):
            at = np.flatnonzero(self._reader_of == code)
            found[at] = read_hashes(reader.layout)[self._rows[at], 0]
        return found

    def verify(self) -> None:
        """Reads all pixels and compares them with their hashes. Raises UserError, with names, where some were changed."""
        for code, reader in enumerate(self._readers):
            reader.verify(np.unique(self._rows[self._reader_of == code]))


def verify_pixels(*parts: Dataset) -> None:
    """Compares all pixels of parts of a dataset with their hashes, and says how many there were.

    Raises:
        UserError: pixels were changed after they were cached; their images are named.
    """
    for part in parts:
        DatasetImages(part).verify()
    say(f"the pixels of {sum(len(part.table) for part in parts)} images are as they were cached")


def _factorized(dataset: Dataset) -> tuple[np.ndarray, list[str]]:
    codes, names = dataset.table["cache"].factorize(sort=True)
    return codes, [str(name) for name in names]


def _check(dataset: Dataset, reader: ImageReader, rows: np.ndarray) -> None:
    path, again = reader.layout.path, "make the dataset again: cxrlt merge --overwrite"
    if reader.layout.settings != dataset.settings:
        raise UserError(f"{path} was cached with {reader.layout.settings}, but {dataset.path} needs {dataset.settings}", again)
    places = dataset.table["row"].to_numpy()[rows]
    if len(places) and (places.min() < 0 or places.max() >= len(reader.layout.ids)):
        raise UserError(f"{dataset.path} points beyond the end of {path}", again)
    wanted = dataset.table["image_id"].to_numpy()[rows]
    stored = (reader.layout.ids[row] for row in places)
    strange = [name for name, own in zip(wanted, stored, strict=True) if name != own and not name.endswith(f"/{own}")]
    if strange:
        raise UserError(f"{path} and {dataset.path} have different images: {listed(strange)}", again)
    absent = wanted[~reader.done[places]]
    if len(absent):
        raise UserError(f"{path} has no pixels for {listed(absent)}", again)
