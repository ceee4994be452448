"""The images with the most similar scores, with either label, which a reviewer compares an image with."""

import numpy as np


def neighbours(scores: np.ndarray, targets: np.ndarray, label_mask: np.ndarray, row: int, each: int) -> list[int]:
    """Rows of the images nearest in score, up to `each` with label 1 and then up to `each` with label 0; not the image itself.

    Args:
        scores: (N,) of one class.
        targets: (N,) 1 or 0.
        label_mask: (N,) bool, True where the label is known.
        row: of the image.
        each: number of images with each label.
    """
    distance = np.abs(scores - scores[row])
    found: list[int] = []
    for side in (1, 0):
        members = np.flatnonzero(label_mask & (targets == side))
        members = members[members != row]
        found += members[np.argsort(distance[members], kind="stable")[:each]].tolist()
    return found
