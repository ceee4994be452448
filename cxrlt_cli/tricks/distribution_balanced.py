"""Distribution-balanced loss (DB; Wu et al., ECCV 2020): re-weighted for labels that come together, tolerant of negatives."""

import torch
from torch import Tensor
from torch.nn import functional

_ALPHA, _BETA, _MU = 0.1, 10.0, 0.2  # of the smoothed weight
_KAPPA = 0.05  # of the bias that the prior makes


def distribution_balanced(logits: Tensor, targets: Tensor, known: Tensor, prior: Tensor, negative_scale: float = 2.0) -> Tensor:
    """r' [ t log(1 + e^-(x - v)) + (1 - t) / l log(1 + e^(l (x - v))) ].

    With n_c the positives of class c, r = (1/n_c) / sum_i(t_i / n_i) is how often c was to be drawn over how often this image
    is for all its labels; r' = a + sigmoid(b (r - mu)) smooths it, a = 0.1, b = 10, mu = 0.2 (the paper's differ a little from
    dataset to dataset). v = k log(1/pi - 1), k = 0.05, is what the prior pi of a class says; l makes negatives of a high score
    saturate. An image without a known positive has r' = 1 + a, as in their code.

    Args:
        logits: (B, C).
        targets: (B, C) of 0..1.
        known: (B, C) bool: unknown labels of an image do not enter the sum.
        prior: (C,) share of positives in training, within 0..1, both excluded.
        negative_scale: l; theirs is 2 to 5.

    Returns:
        (B, C) losses.
    """
    inverse = 1 / prior
    drawn = (targets * known * inverse).sum(dim=1, keepdim=True)
    ratio = torch.where(drawn > 0, inverse / drawn.clamp(min=1e-12), torch.inf)
    weights = _ALPHA + torch.sigmoid(_BETA * (ratio - _MU))
    shifted = logits - _KAPPA * (1 / prior - 1).log()
    present = functional.softplus(-shifted)
    absent = functional.softplus(negative_scale * shifted) / negative_scale
    return weights * (targets * present + (1 - targets) * absent)
