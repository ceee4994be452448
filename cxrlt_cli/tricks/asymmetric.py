"""Asymmetric loss (ASL; Ridnik et al., ICCV 2021): easy negatives, the large majority, are down-weighted or dropped."""

from torch import Tensor
from torch.nn import functional


def asymmetric(logits: Tensor, targets: Tensor, negative: float, positive: float, clip: float) -> Tensor:
    """-t (1-p)^g+ log p - (1-t) p_m^g- log(1 - p_m), p_m = max(p - m, 0).

    A negative with probability up to m has no loss; above m, confident negatives count less.

    Args:
        logits: (B, C).
        targets: (B, C) of 0..1.
        negative: g-, usually 4; g- = g+ = clip = 0 gives cross-entropy. Values within (0, 1) have an infinite slope at
            probability 0 and would give NaN gradients for confident predictions.
        positive: g+, with the same restriction.
        clip: m, the probability margin, usually 0.05.

    Returns:
        (B, C) losses.
    """
    p = logits.sigmoid()
    present = (1 - p).pow(positive) * functional.logsigmoid(logits)
    if clip > 0:
        left = ((-logits).sigmoid() + clip).clamp(max=1)  # 1 - p_m, computed without cancellation
        absent = (1 - left).pow(negative) * left.log()
    else:
        absent = p.pow(negative) * functional.logsigmoid(-logits)
    return -targets * present - (1 - targets) * absent
