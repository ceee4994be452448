"""The reduction used by every loss: a mean over known labels."""

from torch import Tensor


def masked_mean(losses: Tensor, label_mask: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean loss of the known labels, each multiplied by its class weight; 0 if no label is known.

    Args:
        losses: (B, C).
        label_mask: (B, C) bool; unknown labels contribute nothing.
        weights: (C,) class weights, None for 1. They do not enter the divisor: a weight scales its class's loss.
    """
    losses = losses.where(label_mask, losses.new_zeros(()))
    if weights is not None:
        losses = losses * weights
    return losses.sum() / label_mask.sum().clamp(min=1)
