"""Feature maps as a features file holds them (`cxrlt features`), and a network that takes them instead of images."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def as_stored(maps: Tensor, grid: int) -> Tensor:
    """Maps as reading them back from a features file gives them, so that a run trained on features scores pixels alike.

    Args:
        maps: (B, channels, h, w) of an encoder, in any precision.
        grid: side to which they are averaged; 0: they stay as they are.

    Returns:
        (B, channels, h or grid, w or grid) float32, rounded to float16. The gradient passes the rounding unchanged.
    """
    pooled = maps.float()
    if grid and pooled.shape[-2:] != (grid, grid):
        pooled = functional.adaptive_avg_pool2d(pooled, grid)
    rounded = pooled.half().float()
    return pooled + (rounded - pooled).detach() if pooled.requires_grad else rounded


class StoredMaps(nn.Module):
    """Takes the place of a network's encoder in training on features: its input is the maps, its output the same.

    Attributes:
        channels: of the maps.
        torchvision: empty, as of an encoder of another library.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels, self.torchvision = channels, ""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, h, w) to the same."""
        return maps


def map_size(encoder: nn.Module, size: int) -> tuple[int, int, int]:
    """Channels, height and width of an encoder's map of images of `size` px."""
    device = next(encoder.parameters()).device
    training = encoder.training
    try:
        with torch.inference_mode():
            _, channels, height, width = encoder.eval()(torch.zeros(1, 1, size, size, device=device)).shape
    finally:
        encoder.train(training)
    return channels, height, width
