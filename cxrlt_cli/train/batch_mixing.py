"""What is done to a batch as a whole: MixUp, CutMix and mosaic, as the flags say and the seed decides.

A step's mixture is drawn for the rows of its whole batch. A rank that computes a part of them reads the partners of its part
too, so that the same images are mixed however many ranks there are.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cxrlt_cli.data.rng import Stream, batch_generator
from cxrlt_cli.train.settings import MixSettings
from cxrlt_cli.tricks.cutmix import cut_box, cutmix
from cxrlt_cli.tricks.mixup import mixup
from cxrlt_cli.tricks.mosaic import mosaic

Inputs = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class BatchMix:
    """What is drawn for one step of B rows: first the mosaic, then MixUp or CutMix; None where a step has none of it.

    Attributes:
        count: B.
        corners: (3, B) rows that a mosaic puts beside each row.
        partner: (B,) row that each is mixed with.
        share: of the row itself.
        centre: of the box that CutMix takes from the partner, down and right within 0..1; None for MixUp.
    """

    count: int
    corners: np.ndarray | None = None
    partner: np.ndarray | None = None
    share: float = 1.0
    centre: tuple[float, float] | None = None

    def needed(self, own: np.ndarray) -> np.ndarray:
        """(n,) the rows of the whole batch that rows `own` are made of: themselves, then their partners."""
        rows = own
        if self.partner is not None:
            rows = _with(rows, self.partner[rows])
        if self.corners is not None:
            rows = _with(rows, self.corners[:, rows].ravel())
        return rows


def _with(rows: np.ndarray, more: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.setdiff1d(more, rows)])


def draw_mix(settings: MixSettings, step: int, count: int) -> BatchMix:
    """The mixture of a step of `count` rows. Where both MixUp and CutMix are on, a coin decides at each step, as in timm."""
    corners = _corners(settings, step, count) if settings.mosaic else None
    if settings.cutmix and not (settings.mixup and batch_generator(settings.seed, step, Stream.CUTMIX).random() < 0.5):
        draws = batch_generator(settings.seed, step, Stream.BATCH)
        partner, share = draws.permutation(count), float(draws.beta(settings.cutmix, settings.cutmix))
        down, right = draws.random(2).tolist()
        return BatchMix(count, corners, partner, share, (down, right))
    if settings.mixup:
        draws = batch_generator(settings.seed, step, Stream.BATCH)
        return BatchMix(count, corners, draws.permutation(count), draws.beta(settings.mixup, settings.mixup))
    return BatchMix(count, corners)


def _corners(settings: MixSettings, step: int, count: int) -> np.ndarray | None:
    draws = batch_generator(settings.seed, step, Stream.MOSAIC)
    return np.stack([draws.permutation(count) for _ in range(3)]) if draws.random() < settings.mosaic else None


def mixed(mix: BatchMix, own: np.ndarray, images: Tensor, targets: Tensor, label_mask: Tensor) -> Inputs:
    """Applies a mixture.

    Args:
        mix: what was drawn.
        own: (b,) rows of the whole batch that are wanted.
        images: (n, 1, S, S) of the rows `mix.needed(own)`.
        targets: (n, C) of 0..1.
        label_mask: (n, C) bool.

    Returns:
        The same of the rows `own`.
    """
    batch = images, targets, label_mask
    here = _Here(mix, own, images.device)
    if mix.corners is not None and images.shape[-1] % 2 == 0:
        batch = mosaic(*batch, torch.stack([here.places(row) for row in mix.corners]))
    if mix.partner is not None:
        partner = here.places(mix.partner)
        if mix.centre is None:
            batch = mixup(*batch, mix.share, partner)
        else:
            batch = cutmix(*batch, partner, cut_box(images.shape[-1], mix.share, mix.centre))
    if len(own) == len(batch[0]):
        return batch
    images, targets, label_mask = (tensor[: len(own)] for tensor in batch)
    return images, targets, label_mask


class _Here:
    """Where rows of the whole batch stand among those that are here."""

    def __init__(self, mix: BatchMix, own: np.ndarray, device: torch.device) -> None:
        self.rows, self.device = mix.needed(own), device
        self.place = np.full(mix.count, -1)
        self.place[self.rows] = np.arange(len(self.rows))

    def places(self, partner: np.ndarray) -> Tensor:
        """(n,) the place of each row's partner; a partner that is not here is of a row that nobody wants: its own place."""
        found = self.place[partner[self.rows]]
        return torch.from_numpy(np.where(found < 0, np.arange(len(found)), found)).to(self.device, non_blocking=True)
