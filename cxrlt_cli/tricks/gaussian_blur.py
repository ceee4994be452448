"""Gaussian blur, with a width of its own for each image: as a detector of lower resolution, or a patient who moved."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def gaussian_blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blurs each image by a Gaussian, cut off at 3 sigma of the widest; the border is mirrored.

    Args:
        images: (B, 1, S, S).
        sigma: (B,) standard deviations above 0, px.

    Returns:
        The same shape.
    """
    reach = min(math.ceil(3 * float(sigma.max())), images.shape[-1] - 1)
    at = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernels = torch.exp(-0.5 * (at / sigma.to(images)[:, None]) ** 2)
    kernels = kernels / kernels.sum(dim=1, keepdim=True)
    count = len(images)
    rows = functional.pad(images.transpose(0, 1), (reach,) * 4, mode="reflect")  # (1, B, …): a group of the product an image
    rows = functional.conv2d(rows, kernels.view(count, 1, 1, -1), groups=count)
    return functional.conv2d(rows, kernels.view(count, 1, -1, 1), groups=count).transpose(0, 1)
