"""Weights of positives and negatives by class prevalence, as in CheXFusion (Kim, 2023), which won CXR-LT 2023."""

import torch
from torch import Tensor


def prevalence_weights(targets: Tensor, prevalence: Tensor) -> Tensor:
    """w = y exp(1 - p) + (1 - y) exp(p): a positive weighs up to e times a negative in rare classes.

    Args:
        targets: (B, C) of 0..1.
        prevalence: (C,) p, the fraction of known training labels that are positive.

    Returns:
        (B, C).
    """
    return targets * torch.exp(1 - prevalence) + (1 - targets) * torch.exp(prevalence)
