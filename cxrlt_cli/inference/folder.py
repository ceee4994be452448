"""Images of a folder, decoded as the cache would have."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from cxrlt_cli.errors import UserError
from cxrlt_cli.machine import cores
from cxrlt_cli.pixels.settings import PixelSettings, read_square
from cxrlt_cli.pixels.unreadable import UnreadableImageError
from cxrlt_cli.sources.listing import read_text_table, refuse_blank, refuse_duplicates, require

_SUFFIXES = {".png", ".jpg", ".jpeg", ".dcm", ".dicom"}


def image_files(folder: Path) -> dict[str, str]:
    """The PNG, JPEG and DICOM files below a folder, sorted: image id -> path from there. The path is the id.

    Raises:
        UserError: no such folder, or none in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder", "--images names a folder of PNG, JPEG or DICOM files")
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise UserError(f"{folder} has no PNG, JPEG or DICOM file", "--images names a folder of PNG, JPEG or DICOM files")
    return {name: name for name in found}


def listed_files(folder: Path, table: Path, id_column: str, path_column: str) -> dict[str, str]:
    """The images that a table names: image id -> path from the folder, in the order of the table.

    Raises:
        UserError: no such folder, table or column, an id twice, or an empty cell.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder", "--images names the folder from which the paths of --list count")
    rows = read_text_table(table)
    require(rows, [id_column, path_column], table, "name its columns: --id-column, --path-column")
    for name in (id_column, path_column):
        refuse_blank(rows[name], table)
    refuse_duplicates(rows[id_column], table)
    return dict(zip(rows[id_column].astype(str), rows[path_column].astype(str), strict=True))


def read_folder(
    folder: Path, files: dict[str, str], settings: PixelSettings, batch_size: int, workers: int
) -> Iterator[tuple[list[str], np.ndarray, dict[str, str]]]:
    """Decodes images, the next batch while one is in use. Threads: Pillow lets go of Python's lock while it decodes.

    Yields:
        The ids of a batch that can be read, their pixels (B, S, S) uint8, and id -> reason for the others.
    """
    names = list(files)

    def read(name: str) -> np.ndarray | str:
        try:
            return read_square(folder / files[name], settings)
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
