"""Two-way loss (Kobayashi, CVPR 2023): ranks positives above negatives, within images and within labels."""

import torch
from torch import Tensor
from torch.nn import functional


def two_way(logits: Tensor, targets: Tensor, label_mask: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """softplus( log sum over negatives e^x + T log sum over positives e^(-x / T) ), along both axes.

    Args:
        logits: (B, C).
        targets: (B, C); above 0.5 counts as positive.
        label_mask: (B, C) bool; unknown labels are neither positive nor negative.
        temperature: T, 4 in the paper.

    Returns:
        (B + C,) losses of the images, then of the labels; and (B + C,) bool, True where there is a positive and a negative to
        compare. The total loss is the mean over these, separately for each axis, summed.
    """
    present, absent = label_mask & (targets > 0.5), label_mask & (targets <= 0.5)
    losses, sound = [], []
    for way in (1, 0):
        above = temperature * torch.logsumexp((-logits / temperature).masked_fill(~present, -torch.inf), dim=way)
        below = torch.logsumexp(logits.masked_fill(~absent, -torch.inf), dim=way)
        there = present.any(dim=way) & absent.any(dim=way)
        losses.append(functional.softplus(torch.where(there, above + below, above.new_zeros(()))))
        sound.append(there)
    return torch.cat(losses), torch.cat(sound)
