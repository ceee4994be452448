"""Decodes JPEG to gray, at a reduced size if the output needs no more."""

import io
from collections.abc import Callable

import numpy as np
import simplejpeg
from PIL import ExifTags, Image

from cxrlt_cli.preprocess.remarks import UnreadableImageError

JPEG_START = b"\xff\xd8\xff"

#: A reduced image keeps at least this many pixels along one output pixel, so that the area filter has enough to average.
#: Measured on radiographs: below it the gray values differ from a full decode by 1 level on average.
_KEPT = 1.4


def reduction(span: float) -> int:
    """The reduction that a JPEG is decoded at: 1, 2, 4 or 8.

    The inverse cosine transform of a block can give 4 x 4, 2 x 2 or 1 x 1 pixels instead of 8 x 8, each a mean, at less cost.
    Other reductions have no fast implementation.
    """
    return next((factor for factor in (8, 4, 2) if span / factor >= _KEPT), 1)


def decode_jpeg(content: bytes, span: Callable[[int, int], float]) -> tuple[np.ndarray, tuple[float, float]] | None:
    """Decodes the luma of a JPEG.

    Args:
        content: the file.
        span: (width, height) -> number of source pixels along an output pixel.

    Returns:
        (H, W) uint8 at the reduction that `span` allows, and (width, height) of the image in these pixels: a reduced side is
        rounded up, so that its last pixel may lie partly outside the image. None for files that the general reader must read:
        colours other than gray and YCbCr, an orientation, a damaged file, or constant luma (colours may differ).

    Raises:
        UnreadableImageError: pixels are missing inside the file. A JPEG has no checksum: other damage may go unnoticed.
    """
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        if colours not in ("Gray", "YCbCr") or _turned(content):
            return None
        factor = reduction(span(width, height))
        least = {"min_height": -(-height // factor), "min_width": -(-width // factor), "min_factor": 1}
        gray = simplejpeg.decode_jpeg(content, "GRAY", strict=True, **(least if factor > 1 else {}))
    except ValueError as error:
        if "premature end of data segment" in str(error):  # Pillow ignores it
            raise UnreadableImageError(f"damaged: {error}") from error
        return None
    return None if gray.min() == gray.max() else (np.asarray(gray[:, :, 0]), (width / factor, height / factor))


_LOSSLESS, _NO_FRAME = (0xC3, 0xC7, 0xCB, 0xCF), (0xC4, 0xC8, 0xCC)


def undecodable_kind(content: bytes) -> str:
    """The kind of a JPEG that no decoder here reads: `lossless JPEG`, `JPEG of 12 bit` …; empty for the usual kind.

    By the marker of its frame and the precision behind it (ITU-T T.81, B.1.1.3 and B.2.2; T.87 for JPEG-LS).
    """
    place = 2
    while content[place : place + 1] == b"\xff" and place + 5 <= len(content):
        marker, length = content[place + 1], int.from_bytes(content[place + 2 : place + 4])
        if marker == 0xF7:
            return "JPEG-LS"
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            bits = content[place + 4]
            if marker in _LOSSLESS:
                return f"lossless JPEG of {bits} bit"
            return "" if bits == 8 else f"JPEG of {bits} bit"
        place += 1 if marker == 0xFF else 2 + length  # a marker may be preceded by fill bytes
    return ""


def _turned(content: bytes) -> bool:
    head = content[:131072]  # a segment has up to 65,535 bytes; one of EXIF may come before one of XMP
    if b"Exif\0" not in head and b"tiff:Orientation" not in head:
        return False
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
        return bool(image.getexif().get(ExifTags.Base.Orientation, 1) != 1)
