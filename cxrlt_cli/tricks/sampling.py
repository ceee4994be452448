"""Sampling weights of images from their labels."""

import torch
from torch import Tensor


def repeat_factors(targets: Tensor, threshold: float) -> Tensor:
    """Repeat-factor sampling (Gupta et al., LVIS, CVPR 2019): r = max over the image's labels of max(1, sqrt(t / f)).

    Args:
        targets: (N, C) 1 or 0.
        threshold: t, the class frequency below which images are repeated.

    Returns:
        (N,) float64 of 1 or more; 1 for an image without positives.
    """
    share = targets.to(torch.float64).mean(dim=0)
    factors = (threshold / share.clamp(min=1e-12)).sqrt().clamp(min=1)
    return torch.where(targets > 0, factors, 1.0).amax(dim=1)


def class_balanced(targets: Tensor) -> Tensor:
    """(N,) weights that draw every class equally often; images without positives form one more class.

    An image with several labels gets the mean of their weights (Shen, Lin and Huang, ECCV 2016, for single labels).
    """
    return _by_class(targets, 1.0)


def square_root(targets: Tensor) -> Tensor:
    """(N,) weights that draw each class in proportion to the square root of its count (Mahajan et al., ECCV 2018)."""
    return _by_class(targets, 0.5)


def _by_class(targets: Tensor, power: float) -> Tensor:
    present = torch.cat([targets > 0, (targets <= 0).all(dim=1, keepdim=True)], dim=1).to(torch.float64)
    weights = present.sum(dim=0).clamp(min=1).pow(-power)
    mean = (present * weights).sum(dim=1) / present.sum(dim=1)
    return mean * (len(targets) / mean.sum())
