"""Resampling and gray-value lookup of 8-bit images with OpenCV, which releases Python's lock: loader threads do it."""

import cv2
import numpy as np

cv2.setNumThreads(1)  # the loader threads already use all cores


def warp(images: np.ndarray, maps: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """Resamples each image by an affine map (bilinear, black outside), then maps gray values through a table.

    Args:
        images: (B, S, S) uint8.
        maps: (B, 2, 3), from output to input coordinates of -1..1, as `augment.affine` takes them.
        tables: (B, 256) float32, the new value of each gray value. Resampled values are rounded first.

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
    """The maps in pixel indices: pixel i lies at (2 i + 1) / size - 1."""
    linear, shift = maps[:, :, :2].astype(np.float64), maps[:, :, 2].astype(np.float64)
    moved = (size * shift + (size - 1) * (1 - linear.sum(axis=2))) / 2
    return np.concatenate([linear, moved[:, :, None]], axis=2)
