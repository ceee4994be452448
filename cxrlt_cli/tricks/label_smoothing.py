"""Label smoothing (Szegedy et al., CVPR 2016) for one logit a label."""

from torch import Tensor


def smoothed(targets: Tensor, amount: float) -> Tensor:
    """(B, C) targets t (1 - e) + e / 2: e / 2 and 1 - e / 2 for 0 and 1."""
    return targets * (1 - amount) + amount / 2
