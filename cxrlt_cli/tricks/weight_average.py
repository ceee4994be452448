"""Averages of a network's weights over training: EMA (Polyak and Juditsky, 1992) and SWA (Izmailov et al., UAI 2018)."""

import torch
from torch import Tensor


def ema_decay(step: int, decay: float) -> float:
    """min(d, (1 + step) / (10 + step)), `step` from 0, so that the first random weights are soon forgotten."""
    return min(decay, (1 + step) / (10 + step))


def swa_decay(count: int) -> float:
    """The decay that makes the running average the plain mean, after `count` sets of weights are in it."""
    return count / (count + 1)


@torch.no_grad()
def move_average(average: dict[str, Tensor], weights: dict[str, Tensor], decay: float) -> None:
    """Moves an average, in place: a = d a + (1 - d) w. What is no floating-point number is copied.

    Args:
        average: state of the averaged network.
        weights: state of the trained one; the same names and shapes.
        decay: d.
    """
    for name, value in weights.items():
        if value.dtype.is_floating_point:
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)
