"""The grammar of `--sampling`, and how often each image of an epoch is drawn."""

import math

import numpy as np
import torch

from cxrlt_cli.errors import UserError
from cxrlt_cli.tricks.sampling import class_balanced, repeat_factors, square_root

_HINT = (
    "one of none, repeat-factor:T (T the share of images below which a class is repeated, as 0.01), class-balanced, square-root"
)


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
