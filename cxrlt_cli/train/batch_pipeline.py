"""From a batch to its loss: the only place that chooses tricks by the flags."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from cxrlt_cli.data.augment import AugmentDraw, AugmentParams, augment, draw, normalise, plain_input, to_unit
from cxrlt_cli.data.batches import Batch
from cxrlt_cli.data.corruptions import Disturbances, disturb
from cxrlt_cli.train.batch_mixing import BatchMix, Inputs, draw_mix, mixed
from cxrlt_cli.train.loss import Counts, Loss, make_loss
from cxrlt_cli.train.settings import AugmentSettings, LossSettings, MixSettings


@dataclass(frozen=True)
class BatchPipeline:
    """The steps from a batch to its loss.

    Attributes:
        mix: (step, rows of the whole batch) -> the random numbers of MixUp, CutMix and mosaic for that step.
        ahead: (epoch, batch) -> the prepared batch, in reader threads: augmented images on a CPU; uint8 images in page-locked
            memory for a GPU, which augments them itself.
        inputs: (batch on the device with the rows that `BatchMix` needs, epoch, BatchMix, rows of this rank) -> images
            (b, 1, S, S) or maps (b, C, h, w) of the network, targets and label mask (b, C) of the rank's rows.
        loss: (logits, targets, label mask, finished fraction of the training) -> a number.
    """

    mix: Callable[[int, int], BatchMix]
    ahead: Callable[[int, Batch], Batch]
    inputs: Callable[[Batch, int, BatchMix, np.ndarray], Inputs]
    loss: Loss


def make_pipeline(
    mix_settings: MixSettings, augmentation: AugmentSettings, loss: LossSettings, counts: Counts, device: torch.device
) -> BatchPipeline:
    """The pipeline for the settings, on a device."""
    seed = augmentation.seed
    disturbances = Disturbances(augmentation.blur, augmentation.noise, augmentation.erasing)

    def made(batch: Batch, epoch: int) -> Tensor:
        if batch.images.dtype == torch.float16:  # feature maps
            return plain_input(batch.images)
        images = to_unit(batch.images) if augmentation.augment == "none" else augment(batch.images, drawn(batch, epoch))
        return normalise(disturb(images, seed, epoch, batch.draws, disturbances))

    def drawn(batch: Batch, epoch: int) -> AugmentDraw:
        return draw(seed, epoch, batch.draws, AugmentParams())

    def ahead(epoch: int, batch: Batch) -> Batch:
        if device.type == "cpu":
            return replace(batch, images=made(batch, epoch))
        return batch.pinned() if device.type == "cuda" else batch

    def inputs(batch: Batch, epoch: int, mix: BatchMix, own: np.ndarray) -> Inputs:
        images = batch.images if device.type == "cpu" else made(batch, epoch)
        return mixed(mix, own, images, batch.targets, batch.label_mask)

    return BatchPipeline(partial(draw_mix, mix_settings), ahead, inputs, make_loss(loss, counts, device))
