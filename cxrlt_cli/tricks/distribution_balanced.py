"""Distribution-balanced loss (DB; Wu et al., ECCV 2020): re-weighted for labels that come together, tolerant of negatives."""

import torch
from torch import Tensor
from torch.nn import functional

_ALPHA, _BETA, _MU = 0.1, 10.0, 0.2  # of the smoothed weight
_KAPPA = 0.05  # of the bias that the prior makes: `init_bias` in their code


def rebalanced_weights(targets: Tensor, label_mask: Tensor, prior: Tensor) -> Tensor:
    """r' = a + sigmoid(b (r - mu)), r = (1 / n_c) / sum_i(t_i / n_i), n_c being the positives of class c.

    r is how often c was to be drawn over how often this image is for all its labels; a = 0.1, b = 10, mu = 0.2 (the paper's
    differ a little from dataset to dataset). An image without a known positive has r' = 1 + a, as in their code.

    Args:
        targets: (B, C) of 0..1 as labelled. Smoothed ones would make every image one of all rare classes.
        label_mask: (B, C) bool: unknown labels of an image do not enter the sum.
        prior: (C,) share of positives in training, within 0..1, both excluded.

    Returns:
        (B, C) weights.
    """
    inverse = 1 / prior
    drawn = (targets * label_mask * inverse).sum(dim=1, keepdim=True)
    ratio = torch.where(drawn > 0, inverse / drawn.clamp(min=1e-12), torch.inf)
    return _ALPHA + torch.sigmoid(_BETA * (ratio - _MU))


def prior_shift(prior: Tensor, negative_scale: float) -> Tensor:
    """(C,) v = k / l log(1 / pi - 1), k = 0.05: `init_bias / neg_scale` of their code, taken off the logits.

    The paper writes k log(1 / pi - 1); the published code divides it by l, and is followed here.
    """
    return _KAPPA / negative_scale * (1 / prior - 1).log()


def negative_tolerant(logits: Tensor, targets: Tensor, prior: Tensor, negative_scale: float = 2.0) -> Tensor:
    """t log(1 + e^-(x - v)) + (1 - t) / l log(1 + e^(l (x - v))), to be multiplied with the weights r'.

    Args:
        logits: (B, C) x.
        targets: (B, C) t of 0..1.
        prior: (C,) pi, of which v is the shift.
        negative_scale: l, which makes negatives of a high score saturate; theirs is 2 to 5.

    Returns:
        (B, C) losses.
    """
    shifted = logits - prior_shift(prior, negative_scale)
    present = functional.softplus(-shifted)
    absent = functional.softplus(negative_scale * shifted) / negative_scale
    return targets * present + (1 - targets) * absent
