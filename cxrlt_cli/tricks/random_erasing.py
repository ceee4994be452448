"""Random erasing (Zhong et al., AAAI 2020): a rectangle of the image is made blank, so that no single spot is relied on."""

import torch
from torch import Tensor

#: The paper's: the least and largest share of the image, and the narrowest shape.
LEAST, LARGEST, NARROWEST = 0.02, 0.4, 0.3


def erasing_boxes(area: Tensor, shape: Tensor, place: Tensor, size: int) -> Tensor:
    """(B, 4) top, bottom, left, right, px, of rectangles within the image.

    Args:
        area: (B,) within 0..1, from the least to the largest share of the image.
        shape: (B,) within 0..1, from the narrowest to the widest, evenly in the logarithm.
        place: (B, 2) within 0..1, from top to bottom and from left to right.
        size: S, px.
    """
    pixels = (LEAST + area * (LARGEST - LEAST)) * size * size
    ratio = NARROWEST ** (1 - 2 * shape)
    sides = torch.stack([(pixels * ratio).sqrt(), (pixels / ratio).sqrt()], dim=1).round().clamp(1, size)
    first = (place * (size - sides)).round()
    last = first + sides
    return torch.stack([first[:, 0], last[:, 0], first[:, 1], last[:, 1]], dim=1).long()


def erase(images: Tensor, boxes: Tensor, value: float) -> Tensor:
    """Sets a rectangle of each image to a value.

    Args:
        images: (B, 1, S, S).
        boxes: (B, 4) of `erasing_boxes`.
        value: what stands there instead.
    """
    at = torch.arange(images.shape[-1], device=images.device)
    top, bottom, left, right = boxes.to(images.device)[:, :, None].unbind(dim=1)
    rows, columns = (at >= top) & (at < bottom), (at >= left) & (at < right)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], value)
