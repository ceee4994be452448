"""MixUp, CutMix and mosaic: operations that combine the images of a batch.

The random numbers of a step are drawn for the batch of all ranks. A rank also reads the partners of its own rows, so that the
number of ranks does not change which images are mixed.
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

#: Images (b, 1, S, S), targets (b, C) of 0..1 and label mask (b, C) of a rank's rows.
Inputs = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class BatchMix:
    """The random choices of a step with B rows. Mosaic comes first, then MixUp or CutMix.

    Attributes:
        count: B.
        corners: (3, B) rows that mosaic combines with each row; None in a step without mosaic.
        partner: (B,) row that each row is mixed with; None in a step without MixUp and CutMix.
        lam: weight of the row itself, 0..1.
        centre: of the box that CutMix takes from the partner, y and x within 0..1; None for MixUp.
    """

    count: int
    corners: np.ndarray | None = None
    partner: np.ndarray | None = None
    lam: float = 1.0
    centre: tuple[float, float] | None = None

    def needed(self, own: np.ndarray) -> np.ndarray:
        """(n,) the rows of the whole batch that are needed to make the rows `own`: themselves, then their partners."""
        rows = own
        if self.partner is not None:
            rows = _with(rows, self.partner[rows])
        if self.corners is not None:
            rows = _with(rows, self.corners[:, rows].ravel())
        return rows


def _with(rows: np.ndarray, more: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.setdiff1d(more, rows)])


def draw_mix(settings: MixSettings, step: int, count: int) -> BatchMix:
    """Draws the choices of a step of `count` rows. With MixUp and CutMix, each step uses one of them at random, as in timm."""
    corners = _corners(settings, step, count) if settings.mosaic else None
    if settings.cutmix and not (settings.mixup and batch_generator(settings.seed, step, Stream.CUTMIX).random() < 0.5):
        draws = batch_generator(settings.seed, step, Stream.BATCH)
        partner, lam = draws.permutation(count), float(draws.beta(settings.cutmix, settings.cutmix))
        down, right = draws.random(2).tolist()
        return BatchMix(count, corners, partner, lam, (down, right))
    if settings.mixup:
        draws = batch_generator(settings.seed, step, Stream.BATCH)
        return BatchMix(count, corners, draws.permutation(count), draws.beta(settings.mixup, settings.mixup))
    return BatchMix(count, corners)


def _corners(settings: MixSettings, step: int, count: int) -> np.ndarray | None:
    draws = batch_generator(settings.seed, step, Stream.MOSAIC)
    return np.stack([draws.permutation(count) for _ in range(3)]) if draws.random() < settings.mosaic else None


def mixed(mix: BatchMix, own: np.ndarray, images: Tensor, targets: Tensor, label_mask: Tensor) -> Inputs:
    """Mixes the rows of a rank.

    Args:
        mix: the choices of the step.
        own: (b,) the rank's rows of the whole batch.
        images: (n, 1, S, S) of the rows `mix.needed(own)`.
        targets: (n, C) of 0..1.
        label_mask: (n, C) bool.

    Returns:
        The same of the rows `own`.
    """
    batch = images, targets, label_mask
    positions = _Positions(mix, own, images.device)
    if mix.corners is not None and images.shape[-1] % 2 == 0:
        batch = mosaic(*batch, torch.stack([positions.of(row) for row in mix.corners]))
    if mix.partner is not None:
        partner = positions.of(mix.partner)
        if mix.centre is None:
            batch = mixup(*batch, mix.lam, partner)
        else:
            batch = cutmix(*batch, partner, cut_box(images.shape[-1], mix.lam, mix.centre))
    if len(own) == len(batch[0]):
        return batch
    images, targets, label_mask = (tensor[: len(own)] for tensor in batch)
    return images, targets, label_mask


class _Positions:
    """Row of the whole batch -> its position among the rows that this rank has read."""

    def __init__(self, mix: BatchMix, own: np.ndarray, device: torch.device) -> None:
        self.rows, self.device = mix.needed(own), device
        self.position = np.full(mix.count, -1)
        self.position[self.rows] = np.arange(len(self.rows))

    def of(self, partner: np.ndarray) -> Tensor:
        """(n,) the position of each row's partner.

        Partners of the rank's own rows have always been read. Another row, whose result is not used, may lack its partner: it
        gets its own position.
        """
        found = self.position[partner[self.rows]]
        return torch.from_numpy(np.where(found < 0, np.arange(len(found)), found)).to(self.device, non_blocking=True)
