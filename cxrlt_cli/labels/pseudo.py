"""Pseudo-labels: scores of an earlier run replace unknown labels, in training only."""

from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.predictions import read_predictions
from cxrlt_cli.console import say, warn
from cxrlt_cli.errors import UserError
from cxrlt_cli.labels.spaces import canonical


def pseudo_labels(
    path: Path, image_ids: pd.Series, classes: list[str], wanted: np.ndarray, threshold: tuple[float, float] | None
) -> np.ndarray:
    """Training targets for unknown labels, from a prediction file.

    The winner of CXR-LT 2023 (CheXFusion) filled the missing labels of its external datasets with soft scores of its network,
    and repeated that with the network trained on them.

    Args:
        path: predictions of the training images.
        image_ids: (N,) ids.
        classes: (C,) names; those of the predictions are matched by name.
        wanted: (N, C) bool: unknown labels of training images, which are filled.
        threshold: (LOW, HIGH): probabilities up to LOW become 0, from HIGH on 1; between them the label stays unknown. None
            uses the probability itself.

    Returns:
        (N, C) float32, NaN where there is no pseudo-label.

    Raises:
        UserError: the file has none of the classes or none of the images.
    """
    predictions = read_predictions(path)
    column_of = {canonical(name): index for index, name in enumerate(predictions.classes)}
    columns = np.array([column_of.get(canonical(name), -1) for name in classes])
    rows = pd.Index(predictions.image_ids).get_indexer(pd.Index(image_ids))
    found = np.full(wanted.shape, np.nan, dtype=np.float32)
    place, column = np.nonzero(wanted & (rows >= 0)[:, None] & (columns >= 0)[None, :])
    if not len(place):
        raise UserError(
            f"{path} has no score for any label to be filled", "score the training images: cxrlt predict --split train"
        )
    logits = predictions.logits[rows[place], columns[column]].astype(np.float64)
    scores = np.exp(-np.logaddexp(0.0, -logits))
    if threshold is not None:
        low, high = threshold
        scores = np.where(scores >= high, 1.0, np.where(scores <= low, 0.0, np.nan))
    found[place, column] = scores
    filled, total = int(np.isfinite(found).sum()), int(wanted.sum())
    say(f"pseudo-labels for {filled} of {total} unknown training labels from {path}")
    without = int((wanted.any(axis=1) & (rows < 0)).sum())
    if without:
        warn(f"{path} has no scores for {without} training images: their unknown labels stay unknown")
    return found
