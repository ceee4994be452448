"""What is done to a batch as a whole: MixUp, CutMix and mosaic, as the flags say and the seed decides."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.data.randomness import Stream, batch_generator
from cxrlt_cli.tricks.cutmix import cut_box, cutmix
from cxrlt_cli.tricks.mixup import mixup
from cxrlt_cli.tricks.mosaic import mosaic

Inputs = tuple[Tensor, Tensor, Tensor]
#: (images, targets, known, step) to images, targets and known.
Mixing = Callable[[Tensor, Tensor, Tensor, int], Inputs]


def make_mixing(config: TrainConfig) -> Mixing:
    """The transform of a batch. Where both MixUp and CutMix are on, a coin decides at each step, as in timm."""

    def mix(images: Tensor, targets: Tensor, known: Tensor, step: int) -> Inputs:
        if config.mosaic:
            images, targets, known = _with_mosaic(config, (images, targets, known), step)
        if config.cutmix and not (config.mixup and batch_generator(config.seed, step, Stream.CUTMIX).random() < 0.5):
            return _with_cutmix(config, (images, targets, known), step)
        if config.mixup:
            return _with_mixup(config, (images, targets, known), step)
        return images, targets, known

    return mix


def _with_mixup(config: TrainConfig, batch: Inputs, step: int) -> Inputs:
    draws = batch_generator(config.seed, step, Stream.BATCH)
    partner = _partner(draws, batch[0])
    return mixup(*batch, draws.beta(config.mixup, config.mixup), partner)


def _with_cutmix(config: TrainConfig, batch: Inputs, step: int) -> Inputs:
    draws = batch_generator(config.seed, step, Stream.BATCH)
    partner = _partner(draws, batch[0])
    share = float(draws.beta(config.cutmix, config.cutmix))
    down, right = draws.random(2).tolist()
    return cutmix(*batch, partner, cut_box(batch[0].shape[-1], share, (down, right)))


def _with_mosaic(config: TrainConfig, batch: Inputs, step: int) -> Inputs:
    draws = batch_generator(config.seed, step, Stream.MOSAIC)
    if draws.random() >= config.mosaic or batch[0].shape[-1] % 2:
        return batch
    return mosaic(*batch, torch.stack([_partner(draws, batch[0]) for _ in range(3)]))


def _partner(draws: np.random.Generator, images: Tensor) -> Tensor:
    return torch.from_numpy(draws.permutation(len(images))).to(images.device)
