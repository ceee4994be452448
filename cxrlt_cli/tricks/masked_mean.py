"""The one reduction of every loss: a mean over what is known."""

from torch import Tensor


def masked_mean(losses: Tensor, label_mask: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean of the known losses, each times its class's weight; 0 where nothing is known.

    Args:
        losses: (B, C).
        label_mask: (B, C) bool; an unknown label adds nothing, whatever its loss.
        weights: (C,) class weights, None for 1. They do not enter the divisor: a factor on a class is a factor on its loss.
    """
    losses = losses.where(label_mask, losses.new_zeros(()))
    if weights is not None:
        losses = losses * weights
    return losses.sum() / label_mask.sum().clamp(min=1)
