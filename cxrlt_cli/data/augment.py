"""Augmentation of a whole batch, on the batch's device.

The paper gives no parameters. The ranges here are small rotations, zooms and shifts (patient position), a horizontal flip, and
contrast and brightness (exposure).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cxrlt_cli.data.rng import Stream, uniform
from cxrlt_cli.data.warp import warp

#: Mean and standard deviation of gray images: the averages of ImageNet's three channels. With one value for all channels,
#: summing a pretrained stem's three input channels into one is exact.
MEAN, STD = 0.449, 0.226


@dataclass(frozen=True)
class AugmentParams:
    """Largest rotation (degrees), zoom, shift (fraction of the side), contrast and brightness change (0..1)."""

    rotation: float = 10.0
    zoom: float = 0.10
    shift: float = 0.06
    contrast: float = 0.20
    brightness: float = 0.10
    flip: float = 0.5


def to_unit(images: Tensor) -> Tensor:
    """(B, S, S) uint8 to (B, 1, S, S) float32 of 0..1."""
    return images.unsqueeze(1).to(torch.float32).div_(255.0)


def normalise(images: Tensor) -> Tensor:
    """Values of 0..1 to the network's input: roughly mean 0 and standard deviation 1."""
    return images.sub(MEAN).div_(STD)


def plain_input(images: Tensor) -> Tensor:
    """The network's input without augmentation: of (B, S, S) uint8 pixels or (B, C, h, w) float16 feature maps as stored."""
    return images.float() if images.dtype == torch.float16 else normalise(to_unit(images))


def affine(images: Tensor, matrices: Tensor) -> Tensor:
    """Resamples each image of a batch by its own affine map; bilinear, black outside.

    Args:
        images: (B, 1, S, S) of 0..1.
        matrices: (B, 2, 3), from output to input coordinates of -1..1.
    """
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def matrices(flip: np.ndarray, degrees: np.ndarray, zoom: np.ndarray, shift: np.ndarray) -> Tensor:
    """(B, 2, 3) float32 maps for `affine`.

    Args:
        flip: (B,) bool, mirror left and right.
        degrees: (B,) rotation, counter-clockwise as seen.
        zoom: (B,) factor, above 1 enlarges.
        shift: (B, 2) to the right and down, as a fraction of the side.
    """
    angle = np.deg2rad(degrees)
    cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
    sign = np.where(flip, -1.0, 1.0)
    dx, dy = 2 * shift[:, 0], 2 * shift[:, 1]
    first = np.stack([sign * cosine, -sign * sine, sign * (-cosine * dx + sine * dy)], axis=1)
    second = np.stack([sine, cosine, -sine * dx - cosine * dy], axis=1)
    return torch.from_numpy(np.stack([first, second], axis=1).astype(np.float32))


@dataclass(frozen=True)
class AugmentDraw:
    """Augmentation parameters of each image of a batch.

    Attributes:
        maps: (B, 2, 3) for `affine`.
        contrast: (B,) float32, multiplies a gray value's distance to the middle.
        brightness: (B,) float32, added to gray values of 0..1.
    """

    maps: Tensor
    contrast: Tensor
    brightness: Tensor


def draw(seed: int, epoch: int, rows: np.ndarray, amounts: AugmentParams) -> AugmentDraw:
    """Draws the augmentation of each image; depends only on the arguments, row by row.

    Args:
        seed: seed of the run.
        epoch: from 0.
        rows: (B,) draws of the training split (`data.batches.Batch.draws`).
        amounts: ranges of the parameters.
    """

    def spread(stream: Stream, amount: float) -> np.ndarray:
        return (2 * uniform(seed, epoch, rows, stream) - 1) * amount

    shift = np.stack([spread(Stream.SHIFT_X, amounts.shift), spread(Stream.SHIFT_Y, amounts.shift)], axis=1)
    flip = uniform(seed, epoch, rows, Stream.FLIP) < amounts.flip
    maps = matrices(flip, spread(Stream.ROTATION, amounts.rotation), 1 + spread(Stream.ZOOM, amounts.zoom), shift)
    contrast, brightness = 1 + spread(Stream.CONTRAST, amounts.contrast), spread(Stream.BRIGHTNESS, amounts.brightness)
    return AugmentDraw(maps, torch.from_numpy(contrast.astype(np.float32)), torch.from_numpy(brightness.astype(np.float32)))


def augment(images: Tensor, drawn: AugmentDraw) -> Tensor:
    """Augments a batch on its device: with OpenCV on a CPU (rounded to 8 bits between the two steps), with torch elsewhere.

    Args:
        images: (B, S, S) uint8.
        drawn: the parameters of each image.

    Returns:
        (B, 1, S, S) float32 of 0..1.
    """
    if images.device.type != "cpu":
        return augment_at_once(images, drawn)
    tables = _toned(torch.linspace(0, 1, 256).expand(len(images), 256), drawn)
    return torch.from_numpy(warp(images.numpy(), drawn.maps.numpy(), tables.numpy())).unsqueeze(1)


def augment_at_once(images: Tensor, drawn: AugmentDraw) -> Tensor:
    """The same with torch operators, on any device."""
    return _toned(affine(to_unit(images), drawn.maps.to(images.device, non_blocking=True)), drawn)


def _toned(gray: Tensor, drawn: AugmentDraw) -> Tensor:
    """Changes contrast and brightness of gray values of 0..1, shape (B, ...)."""
    contrast, brightness = (
        values.to(gray.device, non_blocking=True).view(-1, *[1] * (gray.dim() - 1))
        for values in (drawn.contrast, drawn.brightness)
    )
    return ((gray - 0.5) * contrast + 0.5 + brightness).clamp_(0.0, 1.0)
