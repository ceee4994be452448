"""Reads the gray values of an image file, of every format and mode."""

import io
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cxrlt_cli.errors import reason
from cxrlt_cli.paths import IMAGE_SUFFIXES, is_file, why_absent
from cxrlt_cli.preprocess.dicom import is_dicom, read_dicom
from cxrlt_cli.preprocess.jpeg import JPEG_START, decode_jpeg, undecodable_kind
from cxrlt_cli.preprocess.png import NARROW, PNG_START, decode_narrow_colours, decode_png, scale_by_bits, significant_bits
from cxrlt_cli.preprocess.remarks import Remark, UnreadableImageError

#: (width, height) of an image, px -> source pixels along one output pixel: finer detail need not be decoded.
Span = Callable[[int, int], float]

#: An image with more pixels is refused as a decompression bomb: the largest detectors have 20 million.
MOST_PIXELS = 150_000_000
#: A larger file, in bytes, is not read: the maximum number of pixels with three 16-bit channels takes 900 million.
MOST_BYTES = 1_000_000_000


def full(width: int, height: int) -> float:  # noqa: ARG001 - a Span
    """The span for a full decode."""
    return 1.0


@dataclass(frozen=True)
class Picture:
    """A decoded image.

    Attributes:
        values: (H, W) uint8; uint16 of the range 0 … 65535 for an image of more than 8 bit.
        extent: (width, height) of the image in pixels of `values`: their shape, or up to 1 less if a JPEG was decoded at a
            reduced size and the last pixel lies partly outside the image.
        remarks: warnings about the file.
    """

    values: np.ndarray
    extent: tuple[float, float]
    remarks: tuple[Remark, ...] = ()


NO_IMAGE = "neither PNG, JPEG nor DICOM"

#: First bytes of other formats that are found in the place of images.
_OTHERS = {
    b"II*\0": "TIFF", b"MM\0*": "TIFF", b"BM": "BMP", b"GIF8": "GIF", b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000", b"\x1f\x8b": "gzip", b"PK\x03\x04": "ZIP", b"%PDF": "PDF", b"\x89HDF": "HDF5",
    b"P2": "PGM", b"P5": "PGM", b"version https://git-lfs": "a Git LFS pointer, whose file was not fetched",
    b"<!DOCTYPE": "a web page, as a failed download leaves it", b"<html": "a web page, as a failed download leaves it",
    b"\x08\0\x05\0": "DICOM without its preamble", b"\x08\0\0\0": "DICOM without its preamble",
}  # fmt: skip


def _other_format(content: bytes) -> str:
    """The message about a file of another format; names the format if it is known."""
    if content.startswith(JPEG_START):
        kind = undecodable_kind(content)
        return f"{kind}, which no decoder here reads: convert it to 16-bit PNG" if kind else "damaged: JPEG without a frame"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return f"{NO_IMAGE}, but WebP"
    found = next((name for start, name in _OTHERS.items() if content.startswith(start)), "")
    return f"{NO_IMAGE}, but {found}" if found else NO_IMAGE


def why_no_image(path: Path) -> str:
    """The reason why a file is not an image; empty if its name or its first bytes are those of an image."""
    if path.name.upper() == "DICOMDIR":
        return "a DICOM directory"
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ""
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError as error:
        return error.strerror or type(error).__name__
    return "" if is_dicom(head) or head.startswith((PNG_START, JPEG_START)) else NO_IMAGE


def read_gray(path: Path, span: Span = full) -> np.ndarray:
    """The values of `read_picture`."""
    return read_picture(path, span).values


def read_picture(path: Path, span: Span = full) -> Picture:
    """Reads a radiograph as gray values, upright; dense tissue is bright.

    The content of a file, not its name, decides its format. Colours become gray by ITU-R 601 luma (equal channels keep their
    value), transparency is laid over black, EXIF orientation is applied; values in the low bits of a 16-bit PNG are scaled by
    its sBIT chunk; DICOM is read by `preprocess.dicom`.

    Args:
        path: a PNG or JPEG of any mode (1, L, LA, P, PA, RGB, RGBA, I;16, CMYK …) or a DICOM file.
        span: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size if an output pixel covers that many of its pixels.

    Raises:
        UnreadableImageError: missing, empty, cut short, of another format, too large, with values beyond 16 bit, or of one gray
            value although the file's values differ.
        UserError: a DICOM file, and the extra that reads it is not installed.
    """
    content = _content(path)
    if is_dicom(content):
        values, remarks = read_dicom(path)
        return Picture(values, values.shape[::-1], remarks)
    if content.startswith(JPEG_START) and (found := decode_jpeg(content, span)) is not None:
        return Picture(*found)
    if content.startswith(PNG_START) and (plain := decode_png(content)) is not None:
        return Picture(plain, plain.shape[::-1])
    values = _decode_any(content)
    return Picture(values, values.shape[::-1], _remarks(content, values))


def _remarks(content: bytes, values: np.ndarray) -> tuple[Remark, ...]:
    narrow = bool(significant_bits(content)) and values.dtype == np.uint16 and 0 < values.max() <= NARROW
    return (Remark.NARROW_16_BIT,) if narrow and values.min() < values.max() else ()


def _content(path: Path) -> bytes:
    absent = why_absent(path)
    if absent:
        raise UnreadableImageError(absent)
    if not is_file(path):  # reading a pipe would block
        raise UnreadableImageError("not a file")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MOST_BYTES:
                raise UnreadableImageError(f"{size / 1e9:.1f} GB are too many")
            content = file.read(size)  # a limit of MOST_BYTES would be allocated as a whole
    except OSError as error:
        raise UnreadableImageError(error.strerror or reason(error)) from error
    if not content:
        raise UnreadableImageError("empty")
    return content


def _decode_any(content: bytes) -> np.ndarray:
    """Reads with Pillow, which supports every mode and describes the damage of a file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the size limit is checked below; odd metadata does not change the pixels
            with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise UnreadableImageError(f"{image.width} x {image.height} px are too many")
                image.load()
                return _upright_gray(image, content)
    except UnidentifiedImageError:
        raise UnreadableImageError(_other_format(content)) from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        if content.startswith(JPEG_START) and undecodable_kind(content):
            raise UnreadableImageError(_other_format(content)) from error
        raise UnreadableImageError(str(error) or type(error).__name__) from error


def _upright_gray(image: Image.Image, content: bytes) -> np.ndarray:
    _refuse_indices_beyond_palette(image)
    bits = significant_bits(content)
    narrow = decode_narrow_colours(content, bits) if bits else None
    if narrow is not None:
        about = image.info
        image = Image.fromarray(narrow)
        image.info = about
    values = _to_gray(ImageOps.exif_transpose(image))
    if values.min() == values.max() and _differs(image):
        raise UnreadableImageError(f"all its gray values become {values.max()}, although the file's own values differ")
    return scale_by_bits(values, bits[0]) if len(bits) == 1 else values


def _refuse_indices_beyond_palette(image: Image.Image) -> None:
    if image.mode == "P" and image.palette:
        colours, last = len(image.palette.palette) // len(image.palette.mode), image.getextrema()[1]
        if isinstance(last, int | float) and last >= colours:
            raise UnreadableImageError(f"damaged: colour {last} of a palette of {colours}")


def _differs(image: Image.Image) -> bool:
    """Whether any channel has more than one value."""
    return any(low != high for low, high in np.reshape(np.array(image.getextrema()), (-1, 2)))


def _to_gray(image: Image.Image) -> np.ndarray:
    if image.mode == "L" and "transparency" not in image.info:
        return np.asarray(image)
    if image.mode.startswith("I"):
        return _of_16_bit(np.asarray(image))
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        over_black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(over_black, image.convert("RGBA"))
    return np.asarray((image.convert("RGB") if image.mode == "CMYK" else image).convert("L"))


def _of_16_bit(values: np.ndarray) -> np.ndarray:
    if values.min() < 0 or values.max() > 65535:
        raise UnreadableImageError(f"values from {values.min()} to {values.max()} are beyond 16 bit")
    return values.astype(np.uint16)
