"""The pixels of `images/NAME.h5`, read in place, without HDF5's library."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from cxrlt_cli.artifacts.image_file import read_layout
from cxrlt_cli.artifacts.row_access import RowReader, content_hash
from cxrlt_cli.artifacts.row_layout import read_hashes
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.machine import cores

_BLOCK = 64  # images hashed at once by a thread


class ImageReader(RowReader):
    """Random access to the images of a file."""

    def __init__(self, path: Path) -> None:
        """Checks the file. Raises UserError as `read_layout` does."""
        super().__init__(read_layout(path))

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(B, S, S) uint8 of (B,) row numbers, in their order. Raises UserError as `read_into` does."""
        out = np.empty((len(rows), self.layout.size, self.layout.size), dtype=np.uint8)
        self.read_into(rows, out, np.arange(len(rows)))
        return out

    def verify(self, rows: np.ndarray) -> None:
        """Compares the pixels of (B,) rows with the hashes that were written with them.

        Raises:
            UserError: pixels were changed after they were cached; their images are named.
        """
        hashes = read_hashes(self.layout)[:, 0]

        def changed(block: np.ndarray) -> list[int]:
            squares = self.read(block)
            return [row for row, square in zip(block.tolist(), squares, strict=True) if content_hash(square) != hashes[row]]

        self.opened()  # once, before the threads
        with ThreadPoolExecutor(cores()) as pool:
            found = [row for some in pool.map(changed, np.split(rows, range(_BLOCK, len(rows), _BLOCK))) for row in some]
        if found:
            names = listed(self.layout.ids[row] for row in found)
            raise UserError(
                f"{self.layout.path} is damaged: the pixels of {len(found)} images changed after they were cached: {names}",
                "make it again with: cxrlt cache --overwrite",
            )
