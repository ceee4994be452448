"""`explain --boxes`: a run's maps against boxes around findings."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.boxes import LabelledBox, read_boxes
from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.console import data, say, table, warn
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.errors import UserError
from cxrlt_cli.explain.boxes import findings_of, known_boxes, refuse_outside
from cxrlt_cli.explain.localise import ALL, Pointed, point, summary_rows
from cxrlt_cli.predict.members import Member
from cxrlt_cli.preprocess.read_gray import full, read_picture
from cxrlt_cli.preprocess.remarks import UnreadableImageError
from cxrlt_cli.preprocess.settings import read_square, settings_from


@dataclass(frozen=True)
class BoxedImages:
    """Where the images of boxes come from.

    Attributes:
        names: image ids.
        pixels_of: image id -> (S, S) uint8.
        patient_of: image id -> patient id.
        sizes: image id -> width and height of the original image, px, where a file tells.
        selected: whether the user named these images, and boxes of others are not asked for.
    """

    names: set[str]
    pixels_of: Callable[[str], np.ndarray]
    patient_of: dict[str, str]
    sizes: dict[str, tuple[float, float]]
    selected: bool = False


@dataclass(frozen=True)
class Localised:
    """What the maps made of the boxes: rows for `localisation.csv` and for `findings.csv`."""

    rows: list[dict[str, Any]]
    findings: list[dict[str, Any]]


def images_of_dataset(dataset: Dataset, selected: bool) -> BoxedImages:
    """The images of a dataset, of which the user may have named all; pixels are opened when the first is read."""
    rows = {name: number for number, name in enumerate(dataset.table["image_id"])}
    opened: list[DatasetImages] = []

    def pixels_of(name: str) -> np.ndarray:
        if not opened:
            opened.append(DatasetImages(dataset))
        return np.asarray(opened[0].read(np.array([rows[name]]))[0])

    patients = dict(zip(dataset.table["image_id"], dataset.table["patient_id"], strict=True))
    return BoxedImages(set(rows), pixels_of, patients, {}, selected)


def images_of_files(files: list[Path], member: Member) -> BoxedImages:
    """Image files, which boxes name with or without their ending; each counts as a patient.

    Raises:
        UserError: a file that cannot be read, or two of one name.
    """
    settings = settings_from(member.pixels, member.path)
    if len({path.stem for path in files}) < len(files):
        raise UserError("two of the image files have the same name", "boxes name an image by its file name")
    by_name = {name: path for path in files for name in (path.name, path.stem)}
    sizes = {}
    for path in files:
        try:
            height, width = read_picture(path, full).values.shape
        except UnreadableImageError as error:
            raise UserError(f"{path} cannot be read: {error}", "name a PNG, JPEG or DICOM file") from error
        sizes[path.name] = sizes[path.stem] = (float(width), float(height))
    patients = {name: path.stem for name, path in by_name.items()}
    return BoxedImages(set(by_name), lambda name: read_square(by_name[name], settings), patients, sizes, True)


def localise(
    member: Member, path: Path, images: BoxedImages, size: tuple[float, float] | None, options: tuple[bool, float]
) -> Localised:
    """Compares all maps of the boxed findings with the boxes.

    Args:
        member: the network.
        path: the CSV of boxes.
        images: of the boxes.
        size: width and height of all original images, px; None where the file of boxes or the image files tell.
        options: whether boxes of unknown images and classes are left out; the tolerance of the pointing game.

    Raises:
        UserError: a damaged file, unknown images or classes, a box outside its image, or a size that nothing tells.
    """
    leave_out, tolerance = options
    given = read_boxes(path)
    if images.selected:
        given = [box for box in given if box.image in images.names]
        if not given:
            raise UserError(f"{path} has no box of the named images", "name others, or none for all images of the boxes")
    boxes, left_out = known_boxes(given, images.names, member.classes, path, leave_out)

    def size_of(box: LabelledBox) -> tuple[float, float]:
        found = images.sizes.get(box.image) or box.size or size
        if found is None:
            raise UserError(
                f"{path} does not say how large the original images are, in whose pixels boxes are",
                "say it: --boxes-size 1024 (as NIH's), or --boxes-size 2500x2048; or columns width and height",
            )
        return found

    refuse_outside(boxes, size_of, path)
    findings, lost = findings_of(boxes, size_of, settings_from(member.pixels, member.path), member.classes)
    if left_out:
        warn(f"{path}: {left_out} boxes of images or classes that are not there are left out")
    if lost:
        warn(f"{path}: {lost} boxes lie in a part of their image that was cropped away, and are left out")
    if not findings:
        raise UserError(f"{path} has no box inside the squares that the network sees", "cache with --fit pad")
    pointed = point(member, findings, images.pixels_of, tolerance)
    return Localised(summary_rows(pointed, images.patient_of), [_row(one) for one in pointed])


def _row(one: Pointed) -> dict[str, Any]:
    numbers = {"hit": int(one.hit), "inside": one.inside, "best_iou": float(one.iou.max()), "area": one.area}
    return {"kind": one.kind, "image_id": one.image, "class": one.label, **numbers}


def report_localisation(rows: list[dict[str, Any]], folder: Path) -> None:
    """Prints a row a kind of map, then a row a class of each."""

    def interval(row: dict[str, Any], name: str) -> str:
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        return f"{row[name]:.2f}" + ("" if np.isnan(low) else f" ({low:.2f}-{high:.2f})")

    lines = [
        [
            *((row["kind"], "all") if row["class"] == ALL else ("", row["class"])),
            str(row["findings"]),
            interval(row, "hit"),
            f"{row['hit_chance']:.2f}",
            interval(row, "inside"),
            f"{row['area']:.2f}",
            interval(row, "iou"),
        ]
        for row in rows
    ]
    data(table(["map", "class", "findings", "hit", "any place", "inside the box", "even map", "IoU"], lines))
    say(f"maps against boxes: {folder}/localisation.csv, findings.csv")
