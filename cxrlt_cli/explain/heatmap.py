"""A map over a radiograph: a veil of colour, and a line around where it is highest."""

import numpy as np
from PIL import Image

#: Blue and orange are told apart by everybody; a radiograph has neither.
ATTENTION, ATTRIBUTION = (255, 159, 28), (86, 180, 233)
MARKED = 0.10  # share of the picture inside the line


def enlarged(values: np.ndarray, size: int) -> np.ndarray:
    """(size, size) float32 of a coarse (h, w) map, bilinear."""
    picture = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))


def marked(values: np.ndarray, share: float = MARKED) -> np.ndarray:
    """(S, S) bool: the highest `share` of a map's pixels; of equal ones the first."""
    count = max(1, round(share * values.size))
    out = np.zeros(values.size, dtype=bool)
    out[np.argsort(-values, axis=None, kind="stable")[:count]] = True
    return out.reshape(values.shape)


def strength(values: np.ndarray) -> np.ndarray:
    """How thick the veil is, 0 … 1: nothing at the map's mean or below it, 1 at its peak.

    A map that is nearly even (peak below twice its mean) never gets thick: it says little, and should not look as if it did.
    """
    mean, peak = float(values.mean()), float(values.max())
    if not mean > 0:
        return np.zeros(values.shape)
    return np.clip((values / mean - 1) / max(peak / mean - 1, 1.0), 0, 1)


def peak_of(values: np.ndarray) -> float:
    """How many times its mean a map has at its highest place; NaN for one that is 0 everywhere."""
    mean = float(values.mean())
    return float(values.max()) / mean if mean > 0 else float("nan")


def overlay(values: np.ndarray, size: int, colour: tuple[int, int, int], thickest: float = 0.6) -> np.ndarray:
    """(size, size, 4) uint8 RGBA to lay over the picture."""
    out = np.empty((size, size, 4), dtype=np.uint8)
    out[..., :3] = colour
    out[..., 3] = np.rint(255 * thickest * strength(enlarged(values, size)))
    return out
