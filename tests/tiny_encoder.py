"""Networks so small that a training step takes milliseconds; timm knows them once this module is imported."""

from typing import Any

import torch
from timm.models import register_model
from torch import Tensor, nn


class _Golden(nn.Module):
    """Two convolutions, each of which halves the side: 344 weights."""

    num_features = 8

    def __init__(self) -> None:
        super().__init__()
        self.pretrained_cfg = {"mean": (0.5,), "std": (0.25,)}
        self.first, self.second = nn.Conv2d(1, 4, 3, 2, 1), nn.Conv2d(4, 8, 3, 2, 1)
        self.norm = nn.BatchNorm2d(4)

    def forward_features(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) to (B, 8, S/4, S/4)."""
        return torch.relu(self.second(torch.relu(self.norm(self.first(images)))))


@register_model
def tiny_golden(**given: Any) -> nn.Module:
    """The network of the files of version 0.2; what timm says to each of its networks changes nothing here."""
    return _Golden()


class _Three(nn.Module):
    """Three stages of a convolution, perhaps a batch norm, and an activation; the last may keep the side."""

    num_features = 32

    def __init__(self, in_chans: int, output_stride: int, norm: bool) -> None:
        super().__init__()
        self.pretrained_cfg = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
        last = output_stride // 8
        self.stages = nn.Sequential(_stage(in_chans, 16, 4, norm), _stage(16, 32, 2, norm), _stage(32, 32, last, norm))

    def forward_features(self, images: Tensor) -> Tensor:
        """(B, in_chans, S, S) to (B, 32, h, h), h = S / output_stride."""
        features: Tensor = self.stages(images)
        return features


def _stage(channels: int, more: int, stride: int, norm: bool) -> nn.Sequential:
    convolution = nn.Conv2d(channels, more, 3, stride, 1, bias=not norm)
    return nn.Sequential(convolution, nn.BatchNorm2d(more) if norm else nn.Identity(), nn.ReLU())


@register_model
def tiny_net(in_chans: int = 3, output_stride: int = 32, **given: Any) -> nn.Module:
    """The network that most trainings of the tests use."""
    if "dynamic_img_size" in given:  # as timm's convolutional networks
        raise TypeError("dynamic_img_size")
    return _Three(in_chans, output_stride, norm=True)


@register_model
def tiny_net_without_norms(in_chans: int = 3, output_stride: int = 32, **given: Any) -> nn.Module:
    """Its scores of an image do not depend on the other images of a batch of training."""
    if "dynamic_img_size" in given:
        raise TypeError("dynamic_img_size")
    return _Three(in_chans, output_stride, norm=False)
