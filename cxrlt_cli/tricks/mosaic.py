"""Mosaic (YOLOv4; Bochkovskiy et al., 2020): four images at half size in one, with the findings of all."""

import torch
from torch import Tensor
from torch.nn import functional


def mosaic(images: Tensor, targets: Tensor, label_mask: Tensor, partners: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Combines each image with three others.

    Args:
        images: (B, 1, S, S), S even.
        targets: (B, C) of 0..1.
        label_mask: (B, C) bool.
        partners: (3, B) the rows to the right, below, and below to the right.

    Returns:
        The same shapes. A finding is positive if it is positive in any of the four; it is known if it is positive in one or
        known in all four.
    """
    small = functional.avg_pool2d(images, 2)
    right, below, corner = (small[rows] for rows in partners)
    whole = torch.cat([torch.cat([small, right], dim=3), torch.cat([below, corner], dim=3)], dim=2)
    rows = [torch.arange(len(images), device=images.device), *partners]
    seen = torch.stack([targets[row] * label_mask[row] for row in rows]).amax(dim=0)
    return whole, seen, torch.stack([label_mask[row] for row in rows]).all(dim=0) | (seen == 1)
