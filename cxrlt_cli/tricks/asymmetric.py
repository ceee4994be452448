"""Asymmetric loss (ASL; Ridnik et al., ICCV 2021): easy negatives, which are nearly all, count less or not at all."""

from torch import Tensor
from torch.nn import functional


def asymmetric(logits: Tensor, targets: Tensor, negative: float, positive: float, clip: float) -> Tensor:
    """-t (1-p)^g+ log p - (1-t) p_m^g- log(1 - p_m), p_m = max(p - m, 0).

    A negative of probability up to m costs nothing; above, the surer the network is that it is absent, the less it counts.

    Args:
        logits: (B, C).
        targets: (B, C) of 0..1.
        negative: g-, 4 is usual; 0 with a clip of 0 and g+ of 0 gives cross-entropy. Within (0, 1) the slope of the power is
            infinite at its end: a label that is certain would have no gradient but NaN.
        positive: g+; the same holds.
        clip: m, the probability margin; 0.05 is usual.

    Returns:
        (B, C) losses.
    """
    p = logits.sigmoid()
    present = (1 - p).pow(positive) * functional.logsigmoid(logits)
    if clip > 0:
        left = ((-logits).sigmoid() + clip).clamp(max=1)  # 1 - p_m, which a difference would round to 0
        absent = (1 - left).pow(negative) * left.log()
    else:
        absent = p.pow(negative) * functional.logsigmoid(-logits)
    return -targets * present - (1 - targets) * absent
