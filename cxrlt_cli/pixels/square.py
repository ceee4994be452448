"""From a gray image of any shape to the cached square."""

from typing import Literal

import numpy as np
from PIL import Image

Fit = Literal["pad", "crop", "stretch"]

#: Lanczos over the area that an output pixel covers: antialiased when shrinking.
_RESAMPLE = Image.Resampling.LANCZOS


def to_square(image: Image.Image, size: int, fit: Fit) -> np.ndarray:
    """Resizes a gray image to a square.

    Args:
        image: mode L, any shape.
        size: side of the square, px.
        fit: `pad` keeps the whole picture and its proportions, in the middle of black; `crop` keeps the proportions and
            the middle; `stretch` keeps the whole picture and gives up the proportions.

    Returns:
        (size, size) uint8.
    """
    width, height = image.size
    if fit == "stretch":
        return np.asarray(image.resize((size, size), _RESAMPLE))
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return np.asarray(image.resize((size, size), _RESAMPLE, box=(left, top, left + side, top + side)))
    longest = max(width, height)
    shape = max(1, round(width * size / longest)), max(1, round(height * size / longest))
    square = np.zeros((size, size), dtype=np.uint8)
    left, top = (size - shape[0]) // 2, (size - shape[1]) // 2
    square[top : top + shape[1], left : left + shape[0]] = np.asarray(image.resize(shape, _RESAMPLE))
    return square
