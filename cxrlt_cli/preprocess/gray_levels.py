"""Gray levels of an image: scaling to 8 bit, equalization, and a check for lost levels."""

import cv2
import numpy as np

from cxrlt_cli.preprocess.remarks import Remark, UnreadableImageError

_WIDEST = 65536  # range of values up to which a lookup table is used
_LEVELS = 256  # of an 8-bit image
_FEWEST = 1 / 8  # fraction of the levels that the image could keep


def indexed(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Splits an image into its gray levels and, for each pixel, the index of its level.

    Args:
        values: (H, W) integers.

    Returns:
        (L,) int64 levels that occur, ascending; and (H, W) integers, so that `levels[places]` is the image.
    """
    low, high = int(values.min()), int(values.max())
    if high - low >= _WIDEST:
        levels, places = np.unique(values, return_inverse=True)
        return levels.astype(np.int64), places.reshape(values.shape)
    offsets = values if low == 0 else values.astype(np.int32) - low
    seen = np.zeros(high - low + 1, dtype=bool)
    seen[offsets] = True
    return np.flatnonzero(seen) + low, (np.cumsum(seen) - 1).astype(np.uint16)[offsets]


def check_mapping(before: np.ndarray, after: np.ndarray, cause: str) -> tuple[Remark, ...]:
    """`check_levels` of two images (H, W), unsigned, up to 16 bit, of which the second maps the levels of the first."""
    seen, table = np.zeros(_WIDEST, dtype=bool), np.zeros(_WIDEST, dtype=after.dtype)
    seen[before] = True
    table[before] = after
    return check_levels(np.flatnonzero(seen), table[seen], cause)


def check_levels(before: np.ndarray, after: np.ndarray, cause: str) -> tuple[Remark, ...]:
    """Compares the gray levels of an image before and after a step.

    Args:
        before: (L,) distinct levels.
        after: (L,) the level that each maps to.
        cause: text for the message if all levels map to one.

    Returns:
        A remark if less than an eighth of the levels that 8 bit can hold is left; else None.

    Raises:
        UnreadableImageError: all levels map to one.
    """
    if len(before) < 2:
        return ()
    left = len(np.unique(after))
    if left == 1:
        raise UnreadableImageError(f"its {len(before)} gray levels all become {after[0]}: {cause}")
    return (Remark.FEW_LEVELS,) if left < min(len(before), _LEVELS) * _FEWEST else ()


def to_8_bit(values: np.ndarray, window: tuple[float, float] | None = None) -> np.ndarray:
    """Scales gray values to 0 … 255.

    Args:
        values: (H, W) uint8 or uint16.
        window: percentiles of the image's values that become 0 and 255, with clipping; None for the range of the type
            (v * 255 / 65535, rounded).

    Returns:
        (H, W) uint8.
    """
    levels = 256 if values.dtype == np.uint8 else 65536
    if window is None:
        low, high = 0, levels - 1
        if levels == 256:
            return values
    else:
        low, high = _percentiles(values, levels, window)
    table = (np.arange(levels, dtype=np.float64) - low) * 255 / max(high - low, 1)
    return np.asarray(np.rint(table.clip(0, 255)).astype(np.uint8)[values])


def _percentiles(values: np.ndarray, levels: int, window: tuple[float, float]) -> tuple[int, int]:
    """Percentiles of the gray levels: at or below them lie the given percentages of the pixels."""
    shares = np.cumsum(np.bincount(values.ravel(), minlength=levels)) * (100 / values.size)
    low, high = np.searchsorted(shares, np.array(window) - 1e-9)
    return int(low), int(high)


def equalize(picture: np.ndarray, clip: float) -> np.ndarray:
    """Contrast-limited adaptive histogram equalization (CLAHE; Zuiderveld, Graphics Gems IV, 1994) on 8 x 8 tiles.

    Args:
        picture: (H, W) uint8.
        clip: maximum count of a gray level in a tile, as a multiple of the mean count; 2 is usual.

    Returns:
        (H, W) uint8.
    """
    return np.asarray(cv2.createCLAHE(clip, (8, 8)).apply(picture))
