"""Weights of positives and negatives by how common a class is, as in CheXFusion (Kim, 2023), which won CXR-LT 2023."""

import torch
from torch import Tensor


def prevalence_weights(targets: Tensor, prevalence: Tensor) -> Tensor:
    """w = y exp(1 - p) + (1 - y) exp(p): a positive of a rare class weighs up to e times a negative, of a common one less.

    Args:
        targets: (B, C) of 0..1.
        prevalence: (C,) p, the share of the known training labels that are positive.

    Returns:
        (B, C).
    """
    return targets * torch.exp(1 - prevalence) + (1 - targets) * torch.exp(prevalence)
