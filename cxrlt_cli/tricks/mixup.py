"""MixUp (Zhang et al., ICLR 2018): convex mixtures of two images and of their labels."""

from torch import Tensor


def mixup(images: Tensor, targets: Tensor, label_mask: Tensor, share: float, partner: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mixes each image of a batch with its partner.

    Args:
        images: (B, 1, S, S).
        targets: (B, C) of 0..1.
        label_mask: (B, C) bool.
        share: of the image itself, 0..1; drawn from Beta(a, a).
        partner: (B,) the row that each is mixed with.

    Returns:
        Images and targets `share * own + (1 - share) * partner's`; known only where both are.
    """
    images = share * images + (1 - share) * images[partner]
    targets = share * targets + (1 - share) * targets[partner]
    return images, targets, label_mask & label_mask[partner]
