"""Blur, noise and random erasing of a whole batch, each applied to a fraction of the images; off by default."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from cxrlt_cli.data.augment import MEAN
from cxrlt_cli.data.rng import Stream, uniform
from cxrlt_cli.tricks.gaussian_blur import gaussian_blur
from cxrlt_cli.tricks.random_erasing import erase, erasing_boxes

_BLUR = 0.002, 0.008  # standard deviation as a fraction of the side: 0.4 … 1.8 px at 224
_NOISE = 0.01, 0.05  # standard deviation in gray values of 0..1
_SPARE = 61  # px by which the noise field exceeds an image, so that images use different parts


@dataclass(frozen=True)
class Disturbances:
    """Fractions (0..1) of images that are blurred, get noise, and have a rectangle erased."""

    blur: float = 0.0
    noise: float = 0.0
    erasing: float = 0.0


def disturb(images: Tensor, seed: int, epoch: int, draws: np.ndarray, shares: Disturbances) -> Tensor:
    """Applies corruptions to a batch; the result for an image depends only on seed, epoch and its draw.

    Args:
        images: (B, 1, S, S) of 0..1.
        seed: of the run.
        epoch: from 0.
        draws: (B,) draws of the images (`data.batches.Batch.draws`).
        shares: fractions of images; all zero returns the batch unchanged.

    Returns:
        The same shape, values of 0..1.
    """

    def chosen(stream: Stream, share: float) -> tuple[np.ndarray, np.ndarray]:
        """The rows of the selected images, and a strength of 0..1 for each."""
        amounts = uniform(seed, epoch, draws, stream) / share if share else np.ones(len(draws))
        where = np.flatnonzero(amounts < 1)
        return where, amounts[where]

    def drawn(where: np.ndarray, stream: Stream) -> np.ndarray:
        return uniform(seed, epoch, draws[where], stream)

    def changed(where: np.ndarray, change: Callable[[Tensor], Tensor]) -> Tensor:
        if not len(where):
            return images
        rows = torch.from_numpy(where).to(images.device, non_blocking=True)
        return images.index_copy(0, rows, change(images[rows]))

    where, amounts = chosen(Stream.BLUR, shares.blur)
    sigma = torch.from_numpy((_BLUR[0] + amounts * (_BLUR[1] - _BLUR[0])) * images.shape[-1])
    images = changed(where, lambda some: gaussian_blur(some, sigma))
    where, amounts = chosen(Stream.NOISE, shares.noise)
    places, stds = drawn(where, Stream.NOISE_PLACE), _NOISE[0] + amounts * (_NOISE[1] - _NOISE[0])
    images = changed(where, lambda some: (some + _noise(seed, some, places, stds)).clamp_(0, 1))
    where, amounts = chosen(Stream.ERASE, shares.erasing)
    place = np.stack([drawn(where, Stream.ERASE_Y), drawn(where, Stream.ERASE_X)], axis=1)
    area, shape = torch.from_numpy(amounts), torch.from_numpy(drawn(where, Stream.ERASE_SHAPE))
    boxes = erasing_boxes(area, shape, torch.from_numpy(place), images.shape[-1])
    return changed(where, lambda some: erase(some, boxes, MEAN))


def _noise(seed: int, images: Tensor, places: np.ndarray, stds: np.ndarray) -> Tensor:
    """(B, 1, S, S) normal noise for such images: windows of one noise field at `places` (0..1), mirrored or not."""
    size = images.shape[-1]
    field = _noise_field(seed, size + _SPARE, images.device)
    fields = (field, field.flip(0), field.flip(1), field.T)
    windows = []
    for place in (places * len(fields) * _SPARE * _SPARE).astype(np.int64).tolist():
        down, right = place % _SPARE, place // _SPARE % _SPARE
        windows.append(fields[place // _SPARE**2][None, down : down + size, right : right + size])
    scales = torch.from_numpy(stds.astype(np.float32)).to(images.device, non_blocking=True)
    return torch.stack(windows) * scales[:, None, None, None]


@lru_cache(maxsize=2)  # a training has one; a copy per batch would hold a GPU up
def _noise_field(seed: int, side: int, device: torch.device) -> Tensor:
    return torch.randn(side, side, generator=torch.Generator().manual_seed(seed)).to(device)
