"""Distribution-balanced loss (DB; Wu et al., ECCV 2020): re-balanced for co-occurring labels, negative-tolerant."""

import torch
from torch import Tensor
from torch.nn import functional

_ALPHA, _BETA, _MU = 0.1, 10.0, 0.2  # of the smoothing function
_KAPPA = 0.05  # `init_bias` in the published code


def rebalanced_weights(targets: Tensor, label_mask: Tensor, prior: Tensor) -> Tensor:
    """r' = a + sigmoid(b (r - mu)), r = (1 / n_c) / sum_i(t_i / n_i), n_c being the positives of class c.

    r is the class-level sampling frequency divided by the instance-level one; a = 0.1, b = 10, mu = 0.2 (in the paper they
    vary slightly by dataset). An image without a known positive has r' = 1 + a, as in the published code.

    Args:
        targets: (B, C) of 0..1, before label smoothing: with smoothed targets every image would count as one of all rare
            classes.
        label_mask: (B, C) bool; unknown labels do not enter the sum.
        prior: (C,) fraction of positives in training, within (0, 1).

    Returns:
        (B, C) weights.
    """
    inverse = 1 / prior
    drawn = (targets * label_mask * inverse).sum(dim=1, keepdim=True)
    ratio = torch.where(drawn > 0, inverse / drawn.clamp(min=1e-12), torch.inf)
    return _ALPHA + torch.sigmoid(_BETA * (ratio - _MU))


def prior_shift(prior: Tensor, negative_scale: float) -> Tensor:
    """(C,) v = k / l log(1 / pi - 1), k = 0.05: `init_bias / neg_scale` of the published code, subtracted from the logits.

    The paper writes k log(1 / pi - 1); the published code divides by l, as here.
    """
    return _KAPPA / negative_scale * (1 / prior - 1).log()


def negative_tolerant(logits: Tensor, targets: Tensor, prior: Tensor, negative_scale: float = 2.0) -> Tensor:
    """t log(1 + e^-(x - v)) + (1 - t) / l log(1 + e^(l (x - v))), to be multiplied by the weights r'.

    Args:
        logits: (B, C) x.
        targets: (B, C) t of 0..1.
        prior: (C,) pi, which determines the shift v.
        negative_scale: l, which flattens the loss of high-scoring negatives; 2 to 5 in the paper.

    Returns:
        (B, C) losses.
    """
    shifted = logits - prior_shift(prior, negative_scale)
    present = functional.softplus(-shifted)
    absent = functional.softplus(negative_scale * shifted) / negative_scale
    return targets * present + (1 - targets) * absent
