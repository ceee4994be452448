"""Label-distribution-aware margins (LDAM; Cao et al., NeurIPS 2019): rare classes must be told apart by more."""

import torch
from torch import Tensor
from torch.nn import functional


def ldam_margins(positives: Tensor, largest: float = 0.5) -> Tensor:
    """(C,) margins proportional to n^(-1/4), the rarest class's being `largest`; a class without positives counts as 1."""
    margins = positives.clamp(min=1).to(torch.float64).pow(-0.25)
    return margins * (largest / margins.max())


def ldam(logits: Tensor, targets: Tensor, margins: Tensor, scale: float) -> Tensor:
    """Cross-entropy of s (x - t margin), divided by s, so that its slope is that of cross-entropy.

    The paper has it for classes that exclude each other, with cosines as logits and s = 30; this is the form for one logit a
    label, where positives alone have a margin.

    Args:
        logits: (B, C).
        targets: (B, C) of 0..1.
        margins: (C,).
        scale: s.

    Returns:
        (B, C) losses.
    """
    return functional.binary_cross_entropy_with_logits(scale * (logits - targets * margins), targets, reduction="none") / scale
