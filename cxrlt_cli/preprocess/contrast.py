"""Gray values to 8 bit, and what may be done to their contrast on the way."""

import cv2
import numpy as np


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
