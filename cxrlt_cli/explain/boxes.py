"""Boxes of a file brought to the images that a network sees: findings with their places in the square."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cxrlt_cli.artifacts.boxes import LabelledBox
from cxrlt_cli.errors import UserError, listed, nearest
from cxrlt_cli.explain.box_metrics import Box
from cxrlt_cli.labels.spaces import canonical
from cxrlt_cli.preprocess.resize import box_in_square
from cxrlt_cli.preprocess.settings import PixelSettings


@dataclass(frozen=True)
class Finding:
    """A finding of an image.

    Attributes:
        image: image id.
        label: column of the network's logits.
        boxes: its boxes in pixels of the square; none is empty.
    """

    image: str
    label: int
    boxes: list[Box]


def known_boxes(
    boxes: list[LabelledBox], images: set[str], classes: list[str], path: Path, leave_out: bool
) -> tuple[list[LabelledBox], int]:
    """The boxes of known images and classes, and how many were left out.

    Args:
        boxes: of a file.
        images: ids that there are.
        classes: of the network; synonyms count.
        path: of the file, for messages.
        leave_out: leave unknown ones out.

    Raises:
        UserError: an unknown image or class that is not to be left out; or none is known.
    """
    known = {canonical(name) for name in classes}
    labels = {box.label: canonical(box.label) in known for box in boxes}
    absent = list(dict.fromkeys(box.image for box in boxes if box.image not in images))
    strange = [name for name, there in labels.items() if not there]
    kept = [box for box in boxes if box.image in images and labels[box.label]]
    if not kept or ((absent or strange) and not leave_out):
        said = [f"{len(absent)} images that are not there: {listed(absent)}"] if absent else []
        said += (
            [f"classes that the run does not have: {listed(f'{n}{nearest(n, classes)}' for n in strange)}"] if strange else []
        )
        hint = "--allow-missing leaves them out; --dataset names another dataset" if kept else "name the dataset: --dataset"
        raise UserError(f"{path} has boxes of {'; and of '.join(said)}", hint)
    return kept, len(boxes) - len(kept)


def refuse_outside(boxes: list[LabelledBox], size_of: Callable[[LabelledBox], tuple[float, float]], path: Path) -> None:
    """Raises UserError where a box reaches beyond its original image by more than a pixel, with the first such row."""
    for box in boxes:
        width, height = size_of(box)
        if min(box.left, box.top) < -1 or box.right > width + 1 or box.bottom > height + 1:
            where = f"{box.left:g}, {box.top:g} to {box.right:g}, {box.bottom:g}"
            raise UserError(
                f"{path}, {box.place}: the box of {box.label} ({where}) reaches out of its image of {width:g} x {height:g} px",
                "boxes are in pixels of the original image: see its columns width and height, --boxes-size or the image file",
            )


def findings_of(
    boxes: list[LabelledBox], size_of: Callable[[LabelledBox], tuple[float, float]], settings: PixelSettings, classes: list[str]
) -> tuple[list[Finding], int]:
    """The findings with their boxes in the square, all boxes of a finding together; and how many boxes were cropped away.

    Args:
        boxes: of known images and classes.
        size_of: width and height of a box's original image, px.
        settings: how the square was made.
        classes: of the network.
    """
    column = {canonical(name): number for number, name in enumerate(classes)}
    placed: dict[tuple[str, int], list[Box]] = {}
    lost = 0
    for box in boxes:
        ends = (box.left, box.top, box.right, box.bottom)
        left, top, right, bottom = box_in_square(ends, size_of(box), settings.size, settings.fit)
        if left < right and top < bottom:
            placed.setdefault((box.image, column[canonical(box.label)]), []).append((left, top, right, bottom))
        else:
            lost += 1
    return [Finding(image, label, found) for (image, label), found in placed.items()], lost
