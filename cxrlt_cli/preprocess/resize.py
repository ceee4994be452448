"""Resizes a gray image of any shape to the cached square."""

from typing import Literal

import cv2
import numpy as np
from PIL import Image

Fit = Literal["pad", "crop", "stretch"]
Resample = Literal["area", "lanczos"]


def span_of(width: int, height: int, size: int, fit: Fit) -> float:
    """The source pixels along one pixel of the square, in the direction with the fewest."""
    return (max(width, height) if fit == "pad" else min(width, height)) / size


def shape_in(width: float, height: float, size: int, fit: Fit) -> tuple[int, int]:
    """(width, height) of the image within the square, px, each at least 1."""
    if fit != "pad":
        return size, size
    longest = max(width, height)
    return max(1, round(width * size / longest)), max(1, round(height * size / longest))


def middle(picture: np.ndarray) -> np.ndarray:
    """The largest square in the middle of an image (H, W)."""
    height, width = picture.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture[top : top + side, left : left + side]


def resize(
    picture: np.ndarray, shape: tuple[int, int], resample: Resample, extent: tuple[float, float] | None = None
) -> np.ndarray:
    """Resizes a gray image.

    Args:
        picture: (H, W) uint8.
        shape: (width, height), px.
        resample: `area` weights each pixel by its overlap with the output pixel; `lanczos` is Pillow's, whose window grows
            with the reduction. Both are antialiased. Enlarging in any direction always uses Lanczos.
        extent: (width, height) of the part that fills the shape, from the upper left, up to 1 px less than the whole; only
            `area` can leave out a part of a pixel.

    Returns:
        (height, width) uint8.
    """
    height, width = picture.shape
    if (width, height) == shape:
        return picture
    if resample == "lanczos" or shape[0] > width or shape[1] > height:
        return np.asarray(Image.fromarray(picture).resize(shape, Image.Resampling.LANCZOS))
    # Means of 2 x 2, 4 x 4 … are many times faster than weighted ones; their result has at least 2 px along an output pixel.
    factor = 1
    while width % (2 * factor) == height % (2 * factor) == 0 and min(width / shape[0], height / shape[1]) / factor >= 4:
        factor *= 2
    if factor > 1:
        picture = cv2.resize(picture, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    if extent is None or extent == (width, height):
        return np.asarray(cv2.resize(picture, shape, interpolation=cv2.INTER_AREA))
    across, down = shape[0] * factor / extent[0], shape[1] * factor / extent[1]  # OpenCV rounds the size up by less than 1 px
    return np.ascontiguousarray(
        cv2.resize(picture, None, fx=across, fy=down, interpolation=cv2.INTER_AREA)[: shape[1], : shape[0]]
    )


def in_square(picture: np.ndarray, size: int) -> np.ndarray:
    """(size, size) uint8: an image of at most that size in the middle of a black square."""
    if picture.shape == (size, size):
        return np.ascontiguousarray(picture)
    square = np.zeros((size, size), dtype=np.uint8)
    top, left = (size - picture.shape[0]) // 2, (size - picture.shape[1]) // 2
    square[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return square


def box_in_square(
    box: tuple[float, float, float, float], picture: tuple[float, float], size: int, fit: Fit
) -> tuple[float, float, float, float]:
    """Where a box of a picture is in the square that `resize` and `in_square` make of it.

    Args:
        box: left, top, right and bottom in pixels of the picture.
        picture: its width and height, px.
        size: side of the square, px.
        fit: how the picture was fitted.

    Returns:
        Left, top, right and bottom in pixels of the square, cut at its edges; of a box that was cropped away, left = right or
        top = bottom.
    """
    width, height = picture
    cut = (0, 0)
    if fit == "crop":  # as `middle`
        side = min(width, height)
        cut = int(width - side) // 2, int(height - side) // 2
        width = height = side
    across, down = shape_in(width, height, size, fit)
    placed = []
    for at, (start, extent, length) in enumerate(((cut[0], width, across), (cut[1], height, down))):
        margin = (size - length) // 2
        ends = ((box[at + side] - start) * length / extent for side in (0, 2))
        placed.append([margin + min(max(end, 0.0), length) for end in ends])
    (left, right), (top, bottom) = placed
    return left, top, right, bottom
