"""Images of a folder, decoded as the cache would have."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from cxrlt_cli.errors import UserError
from cxrlt_cli.machine import cores
from cxrlt_cli.pixels.gray import UnreadableImageError
from cxrlt_cli.pixels.settings import PixelSettings, read_square

_SUFFIXES = {".png", ".jpg", ".jpeg"}


def image_files(folder: Path) -> list[str]:
    """The paths of the PNG and JPEG files below a folder, from there, sorted: their image ids.

    Raises:
        UserError: no such folder, or none in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder", "--images names a folder of PNG or JPEG files")
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise UserError(f"{folder} has no PNG or JPEG", "--images names a folder of PNG or JPEG files")
    return found


def read_folder(
    folder: Path, names: list[str], settings: PixelSettings, batch_size: int, workers: int
) -> Iterator[tuple[list[str], np.ndarray, dict[str, str]]]:
    """Decodes images, the next batch while one is in use. Threads: Pillow lets go of Python's lock while it decodes.

    Yields:
        The names of a batch that can be read, their pixels (B, S, S) uint8, and name -> reason for the others.
    """

    def read(name: str) -> np.ndarray | str:
        try:
            return read_square(folder / name, settings)
        except UnreadableImageError as error:
            return str(error)

    with ThreadPoolExecutor(workers or cores()) as pool:
        starts = range(0, len(names), batch_size)
        ahead = [pool.submit(read, name) for name in names[:batch_size]]
        for start in starts:
            found = {name: future.result() for name, future in zip(names[start : start + batch_size], ahead, strict=True)}
            ahead = [pool.submit(read, name) for name in names[start + batch_size : start + 2 * batch_size]]
            pixels = {name: value for name, value in found.items() if not isinstance(value, str)}
            reasons = {name: value for name, value in found.items() if isinstance(value, str)}
            empty = np.empty((0, settings.size, settings.size), dtype=np.uint8)
            yield list(pixels), np.stack(list(pixels.values())) if pixels else empty, reasons
