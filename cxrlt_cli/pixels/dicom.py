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
from cxrlt_cli.pixels.unreadable import UnreadableImageError

_MOST_PIXELS = 150_000_000
#: What pydicom and its decoders raise on a damaged file. Elements are parsed when they are looked at, so that any access may.
_BROKEN = (AttributeError, LookupError, TypeError, ValueError, RuntimeError, OSError, EOFError, struct.error)


def is_dicom(content: bytes) -> bool:
    """Whether a file begins as DICOM does."""
    return content[128:132] == b"DICM"


def read_dicom(path: Path) -> np.ndarray:
    """Reads a radiograph as gray values, bright being dense.

    In the order of DICOM PS3.4, N.2: modality (rescale or LUT), then values of interest (LUT or the first window; linear,
    linear exact or sigmoid), and only then inversion, where the photometric interpretation is MONOCHROME1 or the presentation
    LUT shape INVERSE. The output range of the window or LUT is what becomes black and white. Without either, that is the range
    of the type for up to 8 bit, and for more the lowest and highest value of the picture, padding left out, as viewers do:
    detectors of 12 to 16 bit fill only a part of their range. Presentation states, shutters and overlays are not applied.

    Args:
        path: a file of one frame, of one sample or of three equal ones.

    Returns:
        (H, W) uint8, or uint16 of 0 … 65535 where the file has more than 8 bit.

    Raises:
        UnreadableImageError: damaged, without pixels, of several frames, in colour, too large, or of a compression that no
            decoder here knows.
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


def _gray(dataset: Any) -> np.ndarray:
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    stored = _one_channel(dataset.pixel_array)
    values = apply_modality_lut(stored, dataset)
    low, high = _range(dataset, stored, values)
    if _has_voi(dataset):
        values = apply_voi_lut(values, dataset, index=0)
    share = ((values.astype(np.float64) - low) / max(high - low, 1e-12)).clip(0, 1)
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE":
        share = 1 - share
    wide = int(dataset.get("BitsStored", 8)) > 8
    return np.asarray(np.rint(share * (65535 if wide else 255)).astype(np.uint16 if wide else np.uint8))


def _one_channel(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 2:
        return pixels
    if pixels.ndim == 3 and pixels.shape[2] == 3 and np.ptp(pixels.astype(np.int32), axis=2).max() <= 2:
        return pixels[:, :, 0]
    raise UnreadableImageError("DICOM in colour")


def _has_voi(dataset: Any) -> bool:
    window = dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None
    return bool(dataset.get("VOILUTSequence")) or window


def _range(dataset: Any, stored: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """What becomes black and white."""
    from pydicom.pixels.processing import apply_windowing

    if dataset.get("VOILUTSequence"):
        return 0.0, float(2 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1)
    if _has_voi(dataset):  # the window's own output for values far outside of it
        ends = apply_windowing(np.array([-1e12, 1e12]), dataset, index=0)
        return float(ends[0]), float(ends[1])
    bits = int(dataset.get("BitsStored", 8))
    if bits <= 8:
        return _rescaled_range(dataset, bits)
    inside = _without_padding(dataset, stored, values)
    return float(inside.min()), float(inside.max())


def _rescaled_range(dataset: Any, bits: int) -> tuple[float, float]:
    least = -(2 ** (bits - 1)) if dataset.get("PixelRepresentation", 0) else 0
    slope, shift = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    return least * slope + shift, (least + 2**bits - 1) * slope + shift


def _without_padding(dataset: Any, stored: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values of the picture, without those that only fill the frame; all, where nothing else would be left."""
    padding = dataset.get("PixelPaddingValue")
    if padding is None:
        return values
    limit = dataset.get("PixelPaddingRangeLimit", padding)
    inside = values[(stored < min(padding, limit)) | (stored > max(padding, limit))]
    return inside if inside.size else values
