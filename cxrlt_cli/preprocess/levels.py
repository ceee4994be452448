"""The gray levels of a picture, and whether a step has lost them."""

import numpy as np

from cxrlt_cli.preprocess.remarks import Remark
from cxrlt_cli.preprocess.unreadable import UnreadableImageError

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
