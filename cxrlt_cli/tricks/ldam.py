"""Label-distribution-aware margins (LDAM; Cao et al., NeurIPS 2019): larger margins for rarer classes."""

import torch
from torch import Tensor
from torch.nn import functional


def ldam_margins(positives: Tensor, largest: float = 0.5) -> Tensor:
    """(C,) margins proportional to n^(-1/4), scaled so that the rarest class has `largest`; no positives counts as 1."""
    margins = positives.clamp(min=1).to(torch.float64).pow(-0.25)
    return margins * (largest / margins.max())


def ldam(logits: Tensor, targets: Tensor, margins: Tensor, scale: float) -> Tensor:
    """Cross-entropy of s (x - t margin), divided by s so that its slope matches cross-entropy.

    The paper defines it for single-label softmax with cosine logits and s = 30. This is the version for one sigmoid per
    label: only positives have a margin.

    Args:
        logits: (B, C).
        targets: (B, C) of 0..1.
        margins: (C,).
        scale: s.

    Returns:
        (B, C) losses.
    """
    return functional.binary_cross_entropy_with_logits(scale * (logits - targets * margins), targets, reduction="none") / scale
