"""DICOM radiographs to gray values, by pydicom's own pipeline (extra `cxrlt[dicom]`).

Compressed syntaxes are decoded by GDCM (BSD; Apache-2.0 in its Python wheels): JPEG baseline, extended and lossless, JPEG-LS,
JPEG 2000; pydicom itself reads RLE, deflated and plain files. High-throughput JPEG 2000 has no decoder here. A file is known
by the mark `DICM` after its preamble of 128 bytes; older files without one are not taken for DICOM.
"""

import struct
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.errors import UserError, reason
from cxrlt_cli.preprocess.gray_levels import check_levels, indexed
from cxrlt_cli.preprocess.remarks import Remark, UnreadableImageError
from cxrlt_cli.preprocess.voi import rescaled, voi_curves

_MOST_PIXELS = 150_000_000
#: What pydicom and its decoders raise on a damaged file. Elements are parsed when they are looked at, so that any access may.
_BROKEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError, OSError, EOFError, struct.error)


def is_dicom(content: bytes) -> bool:
    """Whether a file begins as DICOM does."""
    return content[128:132] == b"DICM"


def read_dicom(path: Path) -> tuple[np.ndarray, tuple[Remark, ...]]:
    """Reads a radiograph as gray values, bright being dense.

    In the order of DICOM PS3.4, N.2: modality (rescale or LUT), then values of interest (the first LUT, else the first window;
    linear, linear exact or sigmoid), and only then inversion, where the photometric interpretation is MONOCHROME1 or the
    presentation LUT shape INVERSE. A LUT or window that is invalid or leaves one gray value is passed over. The output range of
    the window or LUT is what becomes black and white. Without either, that is the range of the type for up to 8 bit, and for
    more the lowest and highest value of the picture, padding left out, as viewers do: detectors of 12 to 16 bit fill only a
    part of their range. Gray values stored as colours have neither modality nor window. Presentation states, shutters and
    overlays are not applied.

    Args:
        path: a file of one frame, of one sample or of three equal ones.

    Returns:
        (H, W) uint8, or uint16 of 0 … 65535 where the file has more than 8 bit; and remarks on how it was read.

    Raises:
        UnreadableImageError: damaged, without pixels, of several frames, in colour, too large, of a compression that no
            decoder here knows, with numbers in its header that are not finite, or whose gray levels all become one.
        UserError: pydicom is not installed.
    """
    pydicom = _pydicom()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd headers that do not change the pixels
            dataset = pydicom.dcmread(path)
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
        return pydicom  # files that need it say so
    for off in (gdcm.Trace.DebugOff, gdcm.Trace.WarningOff, gdcm.Trace.ErrorOff):
        off()  # it would write to stderr what we tell as a reason
    return pydicom


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
    """(L,) float64, how far each stored value is from black (0) to white (1), and what is to be said of it."""
    values, ends = levels.astype(np.float64), (0.0, 2.0 ** int(dataset.get("BitsStored", 8)) - 1)
    remarks: tuple[Remark, ...] = ()
    if str(dataset.get("PhotometricInterpretation")).startswith("MONOCHROME"):  # others have neither modality nor VOI
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
    """(L,) bool: the stored values of the picture, not those that only fill the frame; all, where nothing would be left."""
    padding = dataset.get("PixelPaddingValue")
    if padding is None:
        return np.ones(len(levels), dtype=bool)
    limit = dataset.get("PixelPaddingRangeLimit", padding)
    inside = (levels < min(padding, limit)) | (levels > max(padding, limit))
    return np.asarray(inside if inside.any() else ~inside)
