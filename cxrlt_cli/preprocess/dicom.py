"""Reads DICOM radiographs as gray values, with pydicom (extra `cxrlt[dicom]`).

Compressed syntaxes are decoded by GDCM (BSD; Apache-2.0 in its Python wheels): JPEG baseline, extended and lossless, JPEG-LS,
JPEG 2000; pydicom itself reads RLE, deflated and plain files. High-throughput JPEG 2000 has no decoder here. A file is DICOM
if it has `DICM` after its preamble of 128 bytes; older files without a preamble are not recognised.
"""

import struct
import warnings
import zlib
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.errors import UserError, reason
from cxrlt_cli.preprocess.gray_levels import check_levels, indexed
from cxrlt_cli.preprocess.remarks import Remark, UnreadableImageError
from cxrlt_cli.preprocess.voi import rescaled, voi_curves

_MOST_PIXELS = 150_000_000
#: Bytes to which a deflated file may inflate: the most pixels, of 16 bit, and a header.
_MOST_INFLATED = 2 * _MOST_PIXELS + (32 << 20)
_DEFLATED, _PLAIN = b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.1\0\0\0"  # UIDs of transfer syntaxes, equally long
#: Exceptions of pydicom and its decoders on a damaged file. Elements are parsed lazily, so that any access may raise them.
_BROKEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError, OSError, EOFError, struct.error)


def is_dicom(content: bytes) -> bool:
    """Whether a file starts as DICOM does."""
    return content[128:132] == b"DICM"


def read_dicom(path: Path) -> tuple[np.ndarray, tuple[Remark, ...]]:
    """Reads a radiograph as gray values; dense tissue is bright.

    In the order of DICOM PS3.4, N.2: modality transform (rescale or LUT), then VOI transform (the first LUT, else the first
    window; linear, linear exact or sigmoid), then inversion if the photometric interpretation is MONOCHROME1 or the
    presentation LUT shape INVERSE. A LUT or window that is invalid or leaves one gray value is ignored. The output range of the
    window or LUT becomes black to white. Without either, it is the range of the type for up to 8 bit; for more bits, the lowest
    to the highest value of the image without padding, as in viewers, since detectors of 12 to 16 bit use only a part of the
    range. Gray values stored as colours have neither modality nor VOI transform. Presentation states, shutters and overlays are
    not applied.

    Args:
        path: a file of one frame with one sample per pixel, or three equal ones.

    Returns:
        (H, W) uint8, or uint16 of 0 … 65535 if the file has more than 8 bit; and remarks about the file.

    Raises:
        UnreadableImageError: damaged, without pixels, several frames, colour, too large, a compression without a decoder here,
            numbers in the header that are not finite, or all gray levels map to one.
        UserError: pydicom is not installed.
    """
    pydicom = _pydicom()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd headers that do not change the pixels
            dataset = pydicom.dcmread(_inflated(path))
            _refuse_other_shapes(dataset)
            return _gray(dataset)
    except UnreadableImageError:
        raise
    except (pydicom.errors.InvalidDicomError, *_BROKEN) as error:
        raise UnreadableImageError(f"DICOM: {reason(error)}") from error


@cache
def _pydicom() -> Any:
    try:
        import pydicom
        import pydicom.pixels
    except ImportError:
        raise UserError("DICOM files need pydicom, which is not installed", "pip install 'cxrlt[dicom]'") from None
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    try:
        import gdcm
    except ImportError:
        return pydicom  # files that need it have a message of their own
    for off in (gdcm.Trace.DebugOff, gdcm.Trace.WarningOff, gdcm.Trace.ErrorOff):
        off()  # it writes to stderr what is already in the message
    return pydicom


def _inflated(path: Path) -> Path | BytesIO:
    """The file itself; of a deflated one its content, inflated up to a limit, since pydicom inflates without one."""
    from pydicom.filereader import read_dataset, read_file_meta_info, read_preamble

    if str(read_file_meta_info(path).get("TransferSyntaxUID")).encode() != _DEFLATED:
        return path
    with path.open("rb") as file:
        read_preamble(file, False)
        list(read_dataset(file, False, True, stop_when=lambda tag, _, __: tag >> 16 != 2))  # the header that is not deflated
        head_end = file.tell()
        file.seek(0)
        head, deflated = file.read(head_end), file.read()
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = stream.decompress(deflated, _MOST_INFLATED)
    except zlib.error as error:
        raise UnreadableImageError(f"DICOM: {reason(error)}") from error
    if len(content) >= _MOST_INFLATED:
        raise UnreadableImageError(f"DICOM that inflates to more than {_MOST_INFLATED >> 20} MiB, which is too much")
    if not stream.eof:
        raise UnreadableImageError("DICOM: its deflated part is cut short")
    return BytesIO(head.replace(_DEFLATED, _PLAIN) + content)


def _refuse_other_shapes(dataset: Any) -> None:
    if "PixelData" not in dataset:
        raise UnreadableImageError("DICOM without pixels")
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    if frames > 1:
        raise UnreadableImageError(f"DICOM of {frames} frames")
    rows, columns = int(dataset.get("Rows", 0)), int(dataset.get("Columns", 0))
    if not 0 < rows * columns <= _MOST_PIXELS:
        raise UnreadableImageError(f"{columns} x {rows} px are {'too many' if rows * columns else 'none'}")
    if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        raise UnreadableImageError("DICOM in colour")


def _gray(dataset: Any) -> tuple[np.ndarray, tuple[Remark, ...]]:
    levels, places = indexed(_one_channel(dataset.pixel_array))
    inside = _without_padding(dataset, levels)
    bits = int(dataset.get("BitsStored", 8))
    white = 65535 if bits > 8 else 255
    with np.errstate(all="ignore"):
        fractions, remarks = _fractions(dataset, levels, inside, white)
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE":
        fractions = 1 - fractions
    gray = np.rint(fractions * white).astype(np.uint16 if bits > 8 else np.uint8)
    remarks += check_levels(levels[inside], gray[inside], "see rescaling and window in its DICOM header")
    return gray[places], remarks


def _fractions(dataset: Any, levels: np.ndarray, inside: np.ndarray, white: int) -> tuple[np.ndarray, tuple[Remark, ...]]:
    """(L,) float64 gray value of each stored value, from black (0) to white (1), and remarks about the file."""
    values, ends = levels.astype(np.float64), (0.0, 2.0 ** int(dataset.get("BitsStored", 8)) - 1)
    remarks: tuple[Remark, ...] = ()
    if str(dataset.get("PhotometricInterpretation")).startswith("MONOCHROME"):  # others have neither modality nor VOI transform
        values, ends = rescaled(levels, dataset)
        for curve in voi_curves(dataset):
            fractions = None if curve is None else curve(values)
            if fractions is not None and (inside.sum() < 2 or np.ptp(np.rint(fractions[inside] * white)) > 0):
                return fractions, remarks
            remarks = (Remark.VOI_IGNORED,)
    low, high = ends if white == 255 else (values[inside].min(), values[inside].max())
    return ((values - low) / (high - low or 1)).clip(0, 1), remarks


def _one_channel(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 2:
        return pixels
    if pixels.ndim == 3 and pixels.shape[2] == 3 and np.ptp(pixels.astype(np.int32), axis=2).max() <= 2:
        return pixels[:, :, 0]
    raise UnreadableImageError("DICOM in colour")


def _without_padding(dataset: Any, levels: np.ndarray) -> np.ndarray:
    """(L,) bool: the stored values without those of the padding; all if nothing would be left."""
    padding = dataset.get("PixelPaddingValue")
    if padding is None:
        return np.ones(len(levels), dtype=bool)
    limit = dataset.get("PixelPaddingRangeLimit", padding)
    inside = (levels < min(padding, limit)) | (levels > max(padding, limit))
    return np.asarray(inside if inside.any() else ~inside)
