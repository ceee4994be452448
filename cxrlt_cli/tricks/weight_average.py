"""Averages of a network's weights over training: EMA (Polyak and Juditsky, 1992) and SWA (Izmailov et al., UAI 2018)."""

import math

import torch
from torch import Tensor


def ema_decay(step: int, decay: float, gamma: float = 1.0, power: float = 2 / 3) -> float:
    """The decay of an EMA with warm-up: 1 - (1 + step / gamma)^-power, at most `decay`.

    The rule and the constants are those of timm's ModelEmaV3 with `use_warmup` (timm/utils/model_ema.py, `get_decay`). Its
    first update copies the weights, which is step 0 here. With a power of 2/3 the decay is 0.99 after 1,000 steps and 0.999
    after 31,600.

    Args:
        step: updates before this one, 0 or more.
        decay: the highest decay, within 0..1.
        gamma: steps that scale the warm-up, above 0.
        power: speed of the warm-up, above 0.

    Returns:
        Weight of the old average, within 0..`decay`.
    """
    return min(decay, 1 - math.pow(1 + step / gamma, -power))


def swa_decay(count: int) -> float:
    """The decay that keeps the running average equal to the arithmetic mean after `count` updates."""
    return count / (count + 1)


@torch.no_grad()
def move_average(average: dict[str, Tensor], weights: dict[str, Tensor], decay: float) -> None:
    """Updates an average in place: a = d a + (1 - d) w. Non-floating-point values are copied.

    Args:
        average: state of the averaged network.
        weights: state of the trained network; same names and shapes.
        decay: d.
    """
    floating = [name for name, value in weights.items() if value.dtype.is_floating_point]
    torch._foreach_lerp_([average[name] for name in floating], [weights[name] for name in floating], 1 - decay)
    for name in weights.keys() - floating:
        average[name].copy_(weights[name])
