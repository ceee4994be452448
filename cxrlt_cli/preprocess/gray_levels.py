"""The gray levels of a picture: scaled to 8 bit, equalized, and whether a step has lost them."""

import cv2
import numpy as np

from cxrlt_cli.preprocess.remarks import Remark, UnreadableImageError

_WIDEST = 65536  # values that a table is made for
_LEVELS = 256  # that a picture of 8 bit can have
_FEWEST = 1 / 8  # of the levels that a picture could keep


def indexed(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Splits a picture into its gray levels and, for each pixel, the place of its level.

    Args:
        values: (H, W) integers.

    Returns:
        (L,) int64, the levels that occur, ascending; and (H, W) integers, so that `levels[places]` is the picture.
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
    """`check_levels` of two pictures (H, W) of at most 16 bit, unsigned, of which one was made of the other level by level."""
    seen, table = np.zeros(_WIDEST, dtype=bool), np.zeros(_WIDEST, dtype=after.dtype)
    seen[before] = True
    table[before] = after
    return check_levels(np.flatnonzero(seen), table[seen], cause)


def check_levels(before: np.ndarray, after: np.ndarray, cause: str) -> tuple[Remark, ...]:
    """Compares the gray levels of a picture before and after a step.

    Args:
        before: (L,) the levels that occur, each once.
        after: (L,) what becomes of each.
        cause: what a reader should look at, where all levels became one.

    Returns:
        A remark where fewer than an eighth of the levels are left that 8 bit can hold; usually nothing.

    Raises:
        UnreadableImageError: all levels became one.
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
        window: percentiles of the picture's own values that become 0 and 255, what lies beyond being clipped; None takes the
            range of the type (v * 255 / 65535, rounded).

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
    """The gray levels below or at which the given percentages of the pixels lie."""
    shares = np.cumsum(np.bincount(values.ravel(), minlength=levels)) * (100 / values.size)
    low, high = np.searchsorted(shares, np.array(window) - 1e-9)
    return int(low), int(high)


def equalize(picture: np.ndarray, clip: float) -> np.ndarray:
    """Contrast-limited adaptive histogram equalization (CLAHE; Zuiderveld, Graphics Gems IV, 1994) on 8 x 8 tiles.

    Args:
        picture: (H, W) uint8.
        clip: how many times the mean count a gray level of a tile may have; 2 is usual.

    Returns:
        (H, W) uint8.
    """
    return np.asarray(cv2.createCLAHE(clip, (8, 8)).apply(picture))
