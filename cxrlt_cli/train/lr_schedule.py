"""The learning rate as a function of the step alone."""

import math


def lr_at(step: int, steps: int, peak: float, warmup: float) -> float:
    """Linear warm-up, then a cosine to 0.

    Args:
        step: from 0.
        steps: of the whole training.
        peak: the highest learning rate.
        warmup: fraction of the steps in which it rises.
    """
    rising = math.ceil(steps * warmup)
    if step < rising:
        return peak * (step + 1) / rising
    done = (step - rising) / max(steps - rising, 1)
    return peak * 0.5 * (1 + math.cos(math.pi * done))
