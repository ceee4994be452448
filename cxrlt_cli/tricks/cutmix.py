"""CutMix (Yun et al., ICCV 2019): pastes a box of another image and mixes the labels by area."""

import math

from torch import Tensor


def cutmix(
    images: Tensor, targets: Tensor, label_mask: Tensor, partner: Tensor, box: tuple[int, int, int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Pastes a box of each image's partner, at the same place.

    Args:
        images: (B, 1, S, S).
        targets: (B, C) of 0..1.
        label_mask: (B, C) bool.
        partner: (B,) row of the image that the box comes from.
        box: top, bottom, left, right, px.

    Returns:
        Images; targets `lam * own + (1 - lam) * partner's` with lam the remaining fraction of the image's own area; label_mask
        is True where both labels are known.
    """
    top, bottom, left, right = box
    images = images.clone()
    images[:, :, top:bottom, left:right] = images[partner, :, top:bottom, left:right]
    lam = 1 - (bottom - top) * (right - left) / (images.shape[-1] * images.shape[-2])
    return images, lam * targets + (1 - lam) * targets[partner], label_mask & label_mask[partner]


def cut_box(size: int, lam: float, centre: tuple[float, float]) -> tuple[int, int, int, int]:
    """The box of area (1 - lam) around a centre, clipped at the border.

    Args:
        size: side of the image, px.
        lam: the fraction of the image that remains, before clipping.
        centre: y and x, within 0..1.
    """
    half = size * math.sqrt(1 - lam) / 2
    spans = [(round(max(0.0, at * size - half)), round(min(float(size), at * size + half))) for at in centre]
    return *spans[0], *spans[1]
