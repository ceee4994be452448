"""Sampling weights of the training images, by their labels and by their source."""

import numpy as np
import torch

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.config.train_grammar import SamplingSpec
from cxrlt_cli.errors import UserError, nearest
from cxrlt_cli.train.settings import SamplingSettings
from cxrlt_cli.tricks.sampling import class_balanced, repeat_factors, square_root


def drawing_weights(settings: SamplingSettings, train: Dataset) -> np.ndarray | None:
    """(N,) float64 sampling weights of the training images; None if each is drawn once per epoch.

    Raises:
        UserError: `--source-weight` names an unknown source, or is 0 for all images.
    """
    weights = sampling_weights(settings.sampling_spec, train.targets)
    there = train.table["source"].unique()
    for name, value in settings.source_weights.items():
        if name not in there:
            raise UserError(
                f"--source-weight: no training image is of {name!r}{nearest(name, there)}",
                f"sources: {', '.join(sorted(there))}",
            )
        own = np.where(train.table["source"] == name, value, 1.0)
        weights = own if weights is None else weights * own
    if weights is not None and not weights.any():
        raise UserError("--source-weight leaves no image to draw", "give one source at least a number above 0")
    return weights


def sampling_weights(spec: SamplingSpec, targets: np.ndarray) -> np.ndarray | None:
    """(N,) float64 weights of `--sampling`; None if each image is drawn once.

    Args:
        spec: the value of the flag.
        targets: (N, C) 1 or 0 of the training split; 0 where unknown.
    """
    labels = torch.from_numpy(targets)
    if spec.rule == "none":
        return None
    if spec.rule == "repeat-factor":
        return repeat_factors(labels, spec.threshold).numpy()
    return (class_balanced(labels) if spec.rule == "class-balanced" else square_root(labels)).numpy()
