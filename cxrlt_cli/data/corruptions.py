"""Blur, noise and random erasing of a whole batch, each applied to a fraction of the images; off by default."""

from dataclasses import dataclass

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

    def chosen(stream: Stream, share: float) -> tuple[Tensor, np.ndarray]:
        """The selected images, and a strength of 0..1 for each."""
        amounts = uniform(seed, epoch, draws, stream) / share if share else np.ones(len(draws))
        where = np.flatnonzero(amounts < 1)
        return torch.from_numpy(where).to(images.device), amounts[where]

    def drawn(where: Tensor, stream: Stream) -> np.ndarray:
        return uniform(seed, epoch, draws[where.cpu().numpy()], stream)

    where, amounts = chosen(Stream.BLUR, shares.blur)
    if len(where):
        sigma = (_BLUR[0] + amounts * (_BLUR[1] - _BLUR[0])) * images.shape[-1]
        images = images.index_copy(0, where, gaussian_blur(images[where], torch.from_numpy(sigma)))
    where, amounts = chosen(Stream.NOISE, shares.noise)
    if len(where):
        field = _noise(seed, images.shape[-1], drawn(where, Stream.NOISE_PLACE), _NOISE[0] + amounts * (_NOISE[1] - _NOISE[0]))
        images = images.index_copy(0, where, (images[where] + field.to(images.device)).clamp_(0, 1))
    where, amounts = chosen(Stream.ERASE, shares.erasing)
    if len(where):
        place = np.stack([drawn(where, Stream.ERASE_Y), drawn(where, Stream.ERASE_X)], axis=1)
        area, shape = torch.from_numpy(amounts), torch.from_numpy(drawn(where, Stream.ERASE_SHAPE))
        boxes = erasing_boxes(area, shape, torch.from_numpy(place), images.shape[-1])
        images = images.index_copy(0, where, erase(images[where], boxes, MEAN))
    return images


def _noise(seed: int, size: int, places: np.ndarray, stds: np.ndarray) -> Tensor:
    """(B, 1, S, S) normal noise: windows of one noise field at `places` (0..1), mirrored or not."""
    wide = size + _SPARE
    field = torch.randn(wide, wide, generator=torch.Generator().manual_seed(seed))
    fields = (field, field.flip(0), field.flip(1), field.T)
    windows = []
    for place in (places * len(fields) * _SPARE * _SPARE).astype(np.int64).tolist():
        down, right = place % _SPARE, place // _SPARE % _SPARE
        windows.append(fields[place // _SPARE**2][None, down : down + size, right : right + size])
    return torch.stack(windows) * torch.from_numpy(stds.astype(np.float32))[:, None, None, None]
