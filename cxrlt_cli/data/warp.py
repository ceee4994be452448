"""Resampling and tone of 8-bit images on the CPU by OpenCV, which lets go of Python's lock: threads do it ahead of use."""

import cv2
import numpy as np

cv2.setNumThreads(1)  # the threads of ours share the cores


def warp(images: np.ndarray, maps: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """Resamples each image by an affine map, bilinear, black outside, and replaces gray values by those of a table.

    Args:
        images: (B, S, S) uint8.
        maps: (B, 2, 3), from output to input coordinates of -1..1, as `augment.affine` takes them.
        tables: (B, 256) float32, what becomes of each gray value; resampled ones are whole.

    Returns:
        (B, S, S) float32.
    """
    size = images.shape[-1]
    inverse = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    resampled = np.empty((size, size), dtype=np.uint8)
    out = np.empty(images.shape, dtype=np.float32)
    for image, matrix, table, place in zip(images, _of_pixels(maps, size), tables, out, strict=True):
        cv2.warpAffine(image, matrix, (size, size), dst=resampled, flags=inverse)
        cv2.LUT(resampled, table, dst=place)
    return out


def _of_pixels(maps: np.ndarray, size: int) -> np.ndarray:
    """The maps between pixel numbers: pixel i lies at (2 i + 1) / size - 1."""
    linear, shift = maps[:, :, :2].astype(np.float64), maps[:, :, 2].astype(np.float64)
    moved = (size * shift + (size - 1) * (1 - linear.sum(axis=2))) / 2
    return np.concatenate([linear, moved[:, :, None]], axis=2)
