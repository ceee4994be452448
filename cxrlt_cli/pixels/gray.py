"""The gray values of an image file: one function decides them for every format and mode."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

#: The formats that are read. A file is told by its content, not its name.
FORMATS = ("PNG", "JPEG")


class UnreadableImageError(Exception):
    """An image file that cannot be turned into gray values; the message is the reason."""


def read_gray(path: Path) -> Image.Image:
    """Reads a radiograph as 8-bit gray, upright.

    16-bit values are scaled by the range of their type (v * 255 / 65535, rounded), colours by ITU-R 601 luma (equal
    channels keep their value), transparency lies over black, and EXIF orientation is applied.

    Args:
        path: a PNG or JPEG of any mode: 1, L, LA, P, PA, RGB, RGBA, I;16, I (16-bit PNG in Pillow's older form), CMYK.

    Returns:
        An image of mode L.

    Raises:
        UnreadableImageError: missing, empty, cut short, of another format, or with values beyond 16 bit.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for, for ever
        raise UnreadableImageError("not a file")
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.load()
            return _to_gray(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise UnreadableImageError("missing") from None
    except UnidentifiedImageError:
        raise UnreadableImageError("empty" if _is_empty(path) else "neither PNG nor JPEG") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise UnreadableImageError(str(error) or type(error).__name__) from error


def _is_empty(path: Path) -> bool:
    return path.stat().st_size == 0


def _to_gray(image: Image.Image) -> Image.Image:
    if image.mode == "L" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return _from_16_bit(np.asarray(image))
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        over_black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(over_black, image.convert("RGBA")).convert("L")
    return image.convert("RGB").convert("L") if image.mode == "CMYK" else image.convert("L")


def _from_16_bit(values: np.ndarray) -> Image.Image:
    if values.min() < 0 or values.max() > 65535:
        raise UnreadableImageError(f"values from {values.min()} to {values.max()} are beyond 16 bit")
    wide = values.astype(np.uint32)
    return Image.fromarray(((wide * 255 + 32767) // 65535).astype(np.uint8))
