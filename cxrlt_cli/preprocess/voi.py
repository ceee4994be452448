"""Modality and VOI transforms of a DICOM header: stored values to gray values, 0 to 1 (PS3.3, C.11.1, C.11.2).

They are computed here on the distinct gray levels, not by pydicom on every pixel: pydicom 3.0 refuses windows of width below 1,
inverts windowed images with a negative slope, and uses an 8-bit index for 8-bit LUTs.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from cxrlt_cli.preprocess.remarks import UnreadableImageError

#: (L,) values -> (L,) float64 gray values, 0 (black) … 1 (white).
Curve = Callable[[np.ndarray], np.ndarray]
#: The value of the first entry, the (N,) float64 entries, and the entry that is white.
Table = tuple[int, np.ndarray, float]


def rescaled(stored: np.ndarray, dataset: Any) -> tuple[np.ndarray, tuple[float, float]]:
    """Applies the modality LUT, or rescale slope and intercept if there is no LUT.

    Args:
        stored: (L,) int64 stored values.
        dataset: the DICOM header.

    Returns:
        (L,) float64 values, and the lowest and highest value that the file can have.

    Raises:
        UnreadableImageError: slope, intercept or a result is not finite, or a modality LUT has no entries.
    """
    sequence = dataset.get("ModalityLUTSequence")
    if sequence:
        table = _table(sequence[0], dataset)
        if table is None:
            raise UnreadableImageError("DICOM: a modality LUT without entries")
        first, entries, white = table
        return entries[_places(stored, first, len(entries))], (0.0, white)
    slope = _finite(dataset.get("RescaleSlope"), "RescaleSlope", 1)
    intercept = _finite(dataset.get("RescaleIntercept"), "RescaleIntercept", 0)
    bits, signed = int(dataset.get("BitsStored", 8)), dataset.get("PixelRepresentation", 0)
    least = -(2 ** (bits - 1)) if signed else 0
    values, ends = stored * slope + intercept, (least * slope + intercept, (least + 2**bits - 1) * slope + intercept)
    if not (np.isfinite(values).all() and math.isfinite(max(ends) - min(ends))):
        raise UnreadableImageError(f"DICOM: RescaleSlope {slope:g} and RescaleIntercept {intercept:g} give infinite values")
    return values, (min(ends), max(ends))


def voi_curves(dataset: Any) -> Iterator[Curve | None]:
    """The VOI LUTs of a header, then its windows; None for an invalid one.

    A window is valid with a width above 1 (LINEAR) or above 0 (LINEAR_EXACT, SIGMOID). The standard allows a width of 1 for
    LINEAR, a threshold; but files in which centre and width were never filled in have it too.

    Raises:
        UnreadableImageError: centre or width is not finite.
    """
    for item in dataset.get("VOILUTSequence") or ():
        table = _table(item, dataset)
        yield None if table is None else partial(_look_up, table)
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
    for center, width in zip(_listed(dataset, "WindowCenter"), _listed(dataset, "WindowWidth"), strict=False):
        yield _window(_finite(center, "WindowCenter", 0), _finite(width, "WindowWidth", 0), function)


def _listed(dataset: Any, name: str) -> list[Any]:
    """The values of an element with one or several; empty if it is absent or empty."""
    value = dataset.get(name)
    if value is None:
        return []
    return [value] if isinstance(value, (int, float, str)) else list(value)


def _finite(value: Any, name: str, default: float) -> float:
    number = default if value is None or value == "" else float(value)
    if not math.isfinite(number):
        raise UnreadableImageError(f"DICOM: {name} is {number}")
    return number


def _window(center: float, width: float, function: str) -> Curve | None:
    """PS3.3, C.11.2.1.2.1 (linear) and C.11.2.1.3 (sigmoid, linear exact)."""
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID") or width <= 0:
        return None
    return partial(_sigmoid if function == "SIGMOID" else _linear, center, width)


def _linear(center: float, width: float, values: np.ndarray) -> np.ndarray:
    return np.asarray(((values - center) / width + 0.5).clip(0, 1))


def _sigmoid(center: float, width: float, values: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-4 * (values - center) / width)))


def _look_up(table: Table, values: np.ndarray) -> np.ndarray:
    first, entries, white = table
    return np.asarray(entries[_places(values, first, len(entries))] / white)


def _places(values: np.ndarray, first: int, count: int) -> np.ndarray:
    """(L,) int64 indices: values below the first entry use the first, values above the last use the last."""
    if first > 32767 and values.max() < first:  # no value would be in the table: a negative number was read as unsigned
        first -= 65536
    return np.asarray(np.floor(values - first).clip(0, count - 1).astype(np.int64))


def _table(item: Any, dataset: Any) -> Table | None:
    """One item of a LUT sequence; None if it lacks its descriptor or entries.

    White is the end of the declared range. If all entries are in the lower half of that range, or one is beyond it, the
    declared number of bits is wrong, and white is the largest entry.
    """
    descriptor = item.get("LUTDescriptor")
    if descriptor is None or len(descriptor) != 3:
        return None
    count, first, bits = (int(value) for value in descriptor)
    entries = _entries(item.get("LUTData"), dataset, (count & 0xFFFF) or 65536, bits)
    if not len(entries):
        return None
    declared, largest = 2 ** min(max(bits, 0), 16) - 1, entries.max()
    fits = declared / 2 < largest <= declared
    return first, entries, float(declared if fits else max(largest, 1))


def _entries(data: Any, dataset: Any, count: int, bits: int) -> np.ndarray:
    """(N,) float64: at most `count` entries of a word each, or of a byte each if the data are half as long."""
    if data is None:
        return np.empty(0)
    if isinstance(data, bytes):
        little = dataset.file_meta.TransferSyntaxUID.is_little_endian
        words = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if little else ">u2")
    else:
        words = (np.atleast_1d(np.asarray(data, dtype=np.int64)) & 0xFFFF).astype(np.uint16)
    if bits <= 8 and len(words) <= (count + 1) // 2:
        words = words.astype("<u2").view(np.uint8)
    return words[:count].astype(np.float64)
