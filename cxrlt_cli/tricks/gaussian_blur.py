"""Gaussian blur with its own sigma for each image, as from a lower-resolution detector or patient motion."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def gaussian_blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blurs each image by a Gaussian, truncated at 3 times the largest sigma; mirrored at the border.

    Args:
        images: (B, 1, S, S).
        sigma: (B,) standard deviations above 0, px.

    Returns:
        The same shape.
    """
    reach = min(math.ceil(3 * float(sigma.max())), images.shape[-1] - 1)
    at = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernels = torch.exp(-0.5 * (at / sigma.to(images.device, images.dtype, non_blocking=True)[:, None]) ** 2)
    kernels = kernels / kernels.sum(dim=1, keepdim=True)
    count = len(images)
    rows = functional.pad(images.transpose(0, 1), (reach,) * 4, mode="reflect")  # (1, B, …): one convolution group per image
    rows = functional.conv2d(rows, kernels.view(count, 1, 1, -1), groups=count)
    return functional.conv2d(rows, kernels.view(count, 1, -1, 1), groups=count).transpose(0, 1)
