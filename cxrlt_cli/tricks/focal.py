"""Focal loss (Lin et al., ICCV 2017): down-weights well-classified labels."""

from torch import Tensor
from torch.nn import functional


def focal(logits: Tensor, targets: Tensor, gamma: float) -> Tensor:
    """(1 - p_t)^gamma times the cross-entropy, p_t = p t + (1 - p)(1 - t), without its class balance alpha.

    Args:
        logits: (B, C).
        targets: (B, C) of 0..1.
        gamma: 0 gives cross-entropy; usually 2. Values within (0, 1) would give NaN gradients for confident predictions.

    Returns:
        (B, C) losses.
    """
    p = logits.sigmoid()
    p_t = p * targets + (1 - p) * (1 - targets)
    return (1 - p_t).pow(gamma) * functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
