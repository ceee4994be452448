"""Logit adjustment (Menon et al., ICLR 2021): the prior is given, so that the network learns the rest."""

import torch
from torch import Tensor


def prior_logits(positives: Tensor, label_mask: Tensor, strength: float) -> Tensor:
    """(C,) offsets tau log(pi / (1 - pi)), to be added to the logits inside the training loss and nowhere else.

    A shift of each class cannot change its AP; learning under one can.

    Args:
        positives: (C,) training positives; none, or all, count as half an image.
        label_mask: (C,) training images whose label is known.
        strength: tau, 1 in the paper.
    """
    count = label_mask.to(torch.float64).clamp(min=1)
    share = positives.to(torch.float64).clamp(min=0.5).minimum((count - 0.5).clamp(min=0.5)) / count
    return strength * torch.logit(share.clamp(1e-9, 1 - 1e-9))
