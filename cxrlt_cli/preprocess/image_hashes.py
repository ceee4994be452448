"""Hashes that identify an image, byte for byte or re-encoded."""

import cv2
import numpy as np

from cxrlt_cli.artifacts.hash_waves import BITS, THUMBNAIL, WAVES
from cxrlt_cli.artifacts.row_access import content_hash


def hashes_of(square: np.ndarray) -> np.ndarray:
    """Two hashes of a cached square.

    Args:
        square: (S, S) uint8, contiguous.

    Returns:
        (5,) uint64. The first is BLAKE2b of the bytes. The other four are the signs of the 256 lowest cosine waves of the
        image at 32 px (a longer form of pHash; Zauner, "Implementation and Benchmarking of Perceptual Image Hash
        Functions", 2010): most of the bits stay when an image is compressed or resized. They are 0 for an image without
        contrast.
    """
    found = np.zeros(1 + BITS // 64, dtype=np.uint64)
    found[0] = content_hash(square)
    small = cv2.resize(square, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float32)
    if small.std() >= 1:
        found[1:] = np.packbits(cv2.dct(small).ravel()[WAVES] > 0, bitorder="little").view(np.uint64)
    return found
