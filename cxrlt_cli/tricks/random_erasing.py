"""Random erasing (Zhong et al., AAAI 2020): blanks a rectangle of the image, so that the network does not rely on one spot."""

import torch
from torch import Tensor

#: As in the paper: smallest and largest area as a fraction of the image, and the narrowest aspect ratio.
LEAST, LARGEST, NARROWEST = 0.02, 0.4, 0.3


def erasing_boxes(area: Tensor, shape: Tensor, place: Tensor, size: int) -> Tensor:
    """(B, 4) top, bottom, left, right, px, of rectangles within the image.

    Args:
        area: (B,) within 0..1, maps to the smallest to largest area.
        shape: (B,) within 0..1, maps log-uniformly to the narrowest to widest aspect ratio.
        place: (B, 2) within 0..1, vertical and horizontal position.
        size: S, px.
    """
    pixels = (LEAST + area * (LARGEST - LEAST)) * size * size
    ratio = NARROWEST ** (1 - 2 * shape)
    sides = torch.stack([(pixels * ratio).sqrt(), (pixels / ratio).sqrt()], dim=1).round().clamp(1, size)
    first = (place * (size - sides)).round()
    last = first + sides
    return torch.stack([first[:, 0], last[:, 0], first[:, 1], last[:, 1]], dim=1).long()


def erase(images: Tensor, boxes: Tensor, value: float) -> Tensor:
    """Fills a rectangle of each image with a value.

    Args:
        images: (B, 1, S, S).
        boxes: (B, 4) of `erasing_boxes`.
        value: fill value.
    """
    at = torch.arange(images.shape[-1], device=images.device)
    top, bottom, left, right = boxes.to(images.device, non_blocking=True)[:, :, None].unbind(dim=1)
    rows, columns = (at >= top) & (at < bottom), (at >= left) & (at < right)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], value)
