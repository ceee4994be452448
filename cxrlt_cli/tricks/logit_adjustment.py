"""Logit adjustment (Menon et al., ICLR 2021): adds the class prior to the logits in the loss."""

import torch
from torch import Tensor


def prior_logits(positives: Tensor, label_counts: Tensor, strength: float) -> Tensor:
    """(C,) offsets tau log(pi / (1 - pi)), to be added to the logits in the training loss only.

    A constant shift per class does not change its AP by itself; training with it can.

    Args:
        positives: (C,) training positives; 0 or all count as half an image.
        label_counts: (C,) training images whose label is known.
        strength: tau, 1 in the paper.
    """
    count = label_counts.to(torch.float64).clamp(min=1)
    fraction = positives.to(torch.float64).clamp(min=0.5).minimum((count - 0.5).clamp(min=0.5)) / count
    return strength * torch.logit(fraction.clamp(1e-9, 1 - 1e-9))
