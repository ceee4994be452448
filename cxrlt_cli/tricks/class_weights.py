"""Class weights from the numbers of positives."""

import torch
from torch import Tensor


def inverse_sqrt(positives: Tensor) -> Tensor:
    """w = 1 / sqrt(n), scaled to mean 1 (Mahajan et al., ECCV 2018, use it for sampling).

    A class without positives counts as 1.

    Args:
        positives: (C,) training positives.
    """
    weights = positives.clamp(min=1).to(torch.float64).rsqrt()
    return weights / weights.mean()


def effective_number(positives: Tensor, beta: float) -> Tensor:
    """w = (1 - b) / (1 - b^n), scaled to mean 1 (Cui et al., CVPR 2019, eq. 4). A class without positives counts as 1.

    Args:
        positives: (C,) training positives.
        beta: in [0, 1); 0 gives equal weights, near 1 the inverse of n.
    """
    counts = positives.clamp(min=1).to(torch.float64)
    weights = (1 - beta) / (1 - beta**counts)
    return weights / weights.mean()
