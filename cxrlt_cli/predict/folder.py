"""Images of a folder, prepared as `cache` prepares them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cxrlt_cli.console import say, warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.machine import cores
from cxrlt_cli.paths import FolderListing, is_folder, list_folder, refuse_names_not_utf8, what_is_near, why_absent
from cxrlt_cli.preprocess.decode_workers import ImageFile
from cxrlt_cli.preprocess.read_gray import NO_IMAGE, why_no_image
from cxrlt_cli.preprocess.remarks import RemarkCounts, UnreadableImageError
from cxrlt_cli.preprocess.settings import PixelSettings, Square, make_square
from cxrlt_cli.sources.image_rows import first_rows, with_suffix
from cxrlt_cli.sources.listing import read_text_table, refuse_blank, require, usual_path
from cxrlt_cli.sources.monochrome1 import inverted_of


def image_files(folder: Path) -> dict[str, ImageFile]:
    """The PNG, JPEG and DICOM files below a folder, sorted: image id -> file. The path from the folder is the id.

    Files with another suffix are opened to see whether they are DICOM, because CDs hold DICOM files without a suffix. Links are
    followed. Skipped files are counted and reported with the reason.

    Raises:
        UserError: no such folder, or none in it; a file name that is not UTF-8.
    """
    listing = list_folder(folder)
    refuse_names_not_utf8((str(path.relative_to(folder)) for path in listing.files), folder)
    found = {}
    for path in listing.files:
        name = path.relative_to(folder).as_posix()
        refused = why_no_image(path)
        if refused:
            listing.skip(name, refused)
        else:
            found[name] = ImageFile(path)
    _report_skipped(listing, folder)
    if not found:
        raise UserError(f"{folder} has no PNG, JPEG or DICOM file", "--images names a folder of PNG, JPEG or DICOM files")
    return found


def _report_skipped(listing: FolderListing, folder: Path) -> None:
    """Reports files that are not scored; as a warning if the user may have expected scores."""
    harmless = {NO_IMAGE, "hidden", "a DICOM directory"}
    for reason, names in sorted(listing.skipped.items()):
        report = say if reason in harmless else warn
        report(f"skipped in {folder}: {len(names)} ({reason}): {listed(names, 3)}")


@dataclass(frozen=True)
class ListColumns:
    """The columns of a table of images: id, path below the folder (empty for the usual name), whether an image is inverted.

    `inverted` is empty if no column says so.
    """

    id: str
    path: str
    inverted: str = ""


def listed_files(folder: Path, table: Path, columns: ListColumns) -> dict[str, ImageFile]:
    """The images that a table names: image id -> file, in the order of the table.

    Raises:
        UserError: no such folder, table or column, an id with two files, an empty cell, or an unknown value in the column of
            inverted images.
    """
    if not is_folder(folder):
        raise UserError(f"{folder} is not a folder", "--images names the folder that the paths of --list are relative to")
    rows = read_text_table(table)
    columns = replace(columns, path=columns.path or usual_path(rows) or "path")
    required = [name for name in (columns.id, columns.path, columns.inverted) if name]
    require(rows, required, table, "name its columns: --id-column, --path-column, --invert-column")
    for name in (columns.id, columns.path):
        refuse_blank(rows[name], table)
    rows = rows[first_rows(rows, columns.id, required, table)]
    inverted = inverted_of(rows[columns.inverted], table) if columns.inverted else np.zeros(len(rows), dtype=bool)
    paths = with_suffix(rows[columns.path].astype(str), folder, table)
    files = [ImageFile(folder / path, bool(turn)) for path, turn in zip(paths, inverted, strict=True)]
    return dict(zip(rows[columns.id].astype(str), files, strict=True))


def refuse_all_absent(files: dict[str, ImageFile], table: Path) -> None:
    """Raises UserError if none of the files of a table exists; the message names the first, and what its folder has."""
    first = next(iter(files.values())).path
    if all(why_absent(file.path) for file in files.values()):
        raise UserError(
            f"none of the {len(files)} images of {table} is there; the first would be {first}: {what_is_near(first)}",
            "see --images, the folder that the paths are relative to, and --path-column",
        )


def read_folder(
    files: dict[str, ImageFile], settings: PixelSettings, groups: list[list[str]], workers: int
) -> Iterator[tuple[list[str], np.ndarray, dict[str, str]]]:
    """Decodes images in threads (decoders release Python's lock); the next batch is decoded while the current one is in use.

    After the last image, a warning for each kind of unusual image says how many there are.

    Args:
        files: image id -> file.
        settings: of the pixels.
        groups: the ids of each batch.
        workers: number of threads; 0 for one per core.

    Yields:
        The ids of a batch that can be read, their pixels (B, S, S) uint8, and id -> reason for the others.
    """
    remarks = RemarkCounts()

    def read(name: str) -> Square | str:
        try:
            return make_square(files[name].path, settings, files[name].inverted)
        except UnreadableImageError as error:
            return str(error)

    with ThreadPoolExecutor(workers or cores()) as pool:
        ahead = [pool.submit(read, name) for name in groups[0]] if groups else []
        for names, following in zip(groups, [*groups[1:], []], strict=True):
            found = {name: future.result() for name, future in zip(names, ahead, strict=True)}
            ahead = [pool.submit(read, name) for name in following]
            pixels = {name: value.pixels for name, value in found.items() if not isinstance(value, str)}
            for name, value in found.items():
                remarks.add(name, () if isinstance(value, str) else value.remarks)
            reasons = {name: value for name, value in found.items() if isinstance(value, str)}
            empty = np.empty((0, settings.size, settings.size), dtype=np.uint8)
            yield list(pixels), np.stack(list(pixels.values())) if pixels else empty, reasons
    remarks.report()
