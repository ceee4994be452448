"""A map over a radiograph: a coloured overlay, and a contour around the highest values."""

import numpy as np
from PIL import Image

#: Orange and blue: distinguishable with every kind of colour blindness, and absent from radiographs.
ATTENTION, ATTRIBUTION = (255, 159, 28), (86, 180, 233)
MARKED = 0.10  # fraction of the image inside the contour


def enlarged(values: np.ndarray, size: int) -> np.ndarray:
    """(size, size) float32 of a coarse (h, w) map, bilinear."""
    picture = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))


def marked(values: np.ndarray, fraction: float = MARKED) -> np.ndarray:
    """(S, S) bool: the given fraction of a map's pixels with the highest values; ties go to the first."""
    count = max(1, round(fraction * values.size))
    out = np.zeros(values.size, dtype=bool)
    out[np.argsort(-values, axis=None, kind="stable")[:count]] = True
    return out.reshape(values.shape)


def strength(values: np.ndarray) -> np.ndarray:
    """Opacity of the overlay, 0 … 1: 0 at the map's mean or below, 1 at its peak.

    A nearly uniform map (peak below twice its mean) stays below 1: it carries little information.
    """
    mean, peak = float(values.mean()), float(values.max())
    if not mean > 0:
        return np.zeros(values.shape)
    return np.clip((values / mean - 1) / max(peak / mean - 1, 1.0), 0, 1)


def peak_of(values: np.ndarray) -> float:
    """Ratio of a map's maximum to its mean; NaN for a map of zeros."""
    mean = float(values.mean())
    return float(values.max()) / mean if mean > 0 else float("nan")


def overlay(values: np.ndarray, size: int, colour: tuple[int, int, int], opacity: float = 0.6) -> np.ndarray:
    """(size, size, 4) uint8 RGBA to draw over the image; `opacity` is that of the peak."""
    out = np.empty((size, size, 4), dtype=np.uint8)
    out[..., :3] = colour
    out[..., 3] = np.rint(255 * opacity * strength(enlarged(values, size)))
    return out
