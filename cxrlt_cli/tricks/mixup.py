"""MixUp (Zhang et al., ICLR 2018): convex mixtures of two images and of their labels."""

from torch import Tensor


def mixup(images: Tensor, targets: Tensor, label_mask: Tensor, lam: float, partner: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mixes each image of a batch with its partner.

    Args:
        images: (B, 1, S, S).
        targets: (B, C) of 0..1.
        label_mask: (B, C) bool.
        lam: weight of the image itself, 0..1; drawn from Beta(a, a).
        partner: (B,) row of the image mixed in.

    Returns:
        Images and targets `lam * own + (1 - lam) * partner's`; label_mask is True only where both labels are known.
    """
    images = lam * images + (1 - lam) * images[partner]
    targets = lam * targets + (1 - lam) * targets[partner]
    return images, targets, label_mask & label_mask[partner]
