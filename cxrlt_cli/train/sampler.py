"""The grammar of `--sampling`, and how often each image of an epoch is drawn: by its labels, and by its source."""

import math

import numpy as np
import torch

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError, nearest
from cxrlt_cli.tricks.sampling import class_balanced, repeat_factors, square_root

_HINT = (
    "one of none, repeat-factor:T (T the share of images below which a class is repeated, as 0.01), class-balanced, square-root"
)


def drawing_weights(config: TrainConfig, train: Dataset) -> np.ndarray | None:
    """(N,) float64, in proportion to which each training image is drawn; None where each is drawn once.

    Raises:
        UserError: `--sampling` is none of the grammar, `--source-weight` names a source that is not there, or leaves nothing.
    """
    weights = sampling_weights(config.sampling, train.targets)
    there = train.table["source"].unique()
    for name, value in config.source_weights.items():
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


def sampling_weights(text: str, targets: np.ndarray) -> np.ndarray | None:
    """(N,) float64 weights of `--sampling`, None where every image is drawn once.

    Args:
        text: what the flag says.
        targets: (N, C) 1 or 0 of the training split; 0 where unknown.

    Raises:
        UserError: it is none of the grammar.
    """
    if text == "none":
        return None
    name, _, number = text.partition(":")
    labels = torch.from_numpy(targets)
    if name == "repeat-factor":
        return repeat_factors(labels, _threshold(text, number)).numpy()
    if number or name not in ("class-balanced", "square-root"):
        raise UserError(f"--sampling {text!r} is none", _HINT)
    return (class_balanced(labels) if name == "class-balanced" else square_root(labels)).numpy()


def _threshold(text: str, number: str) -> float:
    try:
        value = float(number or 0.01)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:
        raise UserError(f"--sampling {text!r}: T is a share within 0 … 1", _HINT)
    return value
