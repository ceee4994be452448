"""Neighbours in score, worked out by hand."""

import numpy as np

from cxrlt_cli.clean.neighbours import neighbours


def test_the_nearest_of_either_label_come_without_the_image_itself() -> None:
    scores = np.array([0.0, 1.0, 1.1, 1.5, 5.0, 1.2])
    targets = np.array([1, 0, 1, 1, 0, 0])
    known = np.array([True, True, True, True, True, False])
    assert neighbours(scores, targets, known, 1, 2) == [2, 3, 4], "5 is unknown, 1 is the image"
    assert neighbours(scores, targets, known, 4, 1) == [3, 1]
    assert neighbours(scores, np.zeros(6), known, 0, 1) == [1]
