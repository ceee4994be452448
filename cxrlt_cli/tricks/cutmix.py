"""CutMix (Yun et al., ICCV 2019): a box of another image, and its share of that image's labels."""

import math

from torch import Tensor


def cutmix(
    images: Tensor, targets: Tensor, label_mask: Tensor, partner: Tensor, box: tuple[int, int, int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Pastes the same box of each image's partner over it.

    Args:
        images: (B, 1, S, S).
        targets: (B, C) of 0..1.
        label_mask: (B, C) bool.
        partner: (B,) the row from which the box comes.
        box: top, bottom, left, right, px.

    Returns:
        Images; targets `share * own + (1 - share) * partner's`, share being what is left of the own area; known where both are.
    """
    top, bottom, left, right = box
    images = images.clone()
    images[:, :, top:bottom, left:right] = images[partner, :, top:bottom, left:right]
    share = 1 - (bottom - top) * (right - left) / (images.shape[-1] * images.shape[-2])
    return images, share * targets + (1 - share) * targets[partner], label_mask & label_mask[partner]


def cut_box(size: int, share: float, centre: tuple[float, float]) -> tuple[int, int, int, int]:
    """The box of area (1 - share) around a centre, cut off at the border.

    Args:
        size: side of the image, px.
        share: of the image that stays, before cutting off.
        centre: down and right, within 0..1.
    """
    half = size * math.sqrt(1 - share) / 2
    spans = [(round(max(0.0, at * size - half)), round(min(float(size), at * size + half))) for at in centre]
    return *spans[0], *spans[1]
