"""Binary cross-entropy, element by element."""

from torch import Tensor
from torch.nn import functional


def bce(logits: Tensor, targets: Tensor) -> Tensor:
    """(B, C) losses of (B, C) logits and targets of 0..1: -t log p - (1 - t) log(1 - p), p = sigmoid(logit)."""
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
