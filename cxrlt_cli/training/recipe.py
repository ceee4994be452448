"""From flags to tricks: the one place that chooses."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from cxrlt_cli.compute.autotune import Workload
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.data.augment import Amounts, Drawn, augment, draw, normalise, to_unit
from cxrlt_cli.data.batches import Batch
from cxrlt_cli.data.corruptions import Disturbances, disturb
from cxrlt_cli.model.decoder import DecoderSize
from cxrlt_cli.model.network import Network, NetworkSpec
from cxrlt_cli.training.losses import Counts, Loss, make_loss
from cxrlt_cli.training.mixing import Inputs, Mixture, draw_mixture, mixed
from cxrlt_cli.tricks.layer_decay import rate_scales


@dataclass(frozen=True)
class Recipe:
    """How one batch becomes one loss.

    Attributes:
        mixture: (step, rows of its whole batch) -> what is drawn for it.
        ahead: (epoch, batch) -> the batch with all that is done to it ahead of use, in reading threads: on a CPU images as
            the network takes them; for a GPU, which does that itself, uint8 images in page-locked memory.
        inputs: (batch on the device of the rows that a mixture needs for own rows, epoch, mixture, own rows) -> the network's
            images (b, 1, S, S), targets and known (b, C) of the own rows.
        loss: (logits, targets, known, share of the training that is done) -> a number.
    """

    mixture: Callable[[int, int], Mixture]
    ahead: Callable[[int, Batch], Batch]
    inputs: Callable[[Batch, int, Mixture, np.ndarray], Inputs]
    loss: Loss


def make_recipe(config: TrainConfig, counts: Counts, device: torch.device) -> Recipe:
    """The recipe that the flags describe, on a device. Raises UserError where `--loss` is none."""
    disturbances = Disturbances(config.blur, config.noise, config.erasing)

    def made(batch: Batch, epoch: int) -> Tensor:
        images = to_unit(batch.images) if config.augment == "none" else augment(batch.images, drawn(batch, epoch))
        return normalise(disturb(images, config.seed, epoch, batch.draws, disturbances))

    def drawn(batch: Batch, epoch: int) -> Drawn:
        return draw(config.seed, epoch, batch.draws, Amounts())

    def ahead(epoch: int, batch: Batch) -> Batch:
        return replace(batch, images=made(batch, epoch)) if device.type == "cpu" else batch.pinned()

    def inputs(batch: Batch, epoch: int, mixture: Mixture, own: np.ndarray) -> Inputs:
        images = batch.images if device.type == "cpu" else made(batch, epoch)
        return mixed(mixture, own, images, batch.targets, batch.known)

    return Recipe(partial(draw_mixture, config), ahead, inputs, make_loss(config, counts.to(device)))


def workload_of(config: TrainConfig) -> Workload:
    """What of the options decides in which form the network computes fastest."""
    return Workload(**{field.name: getattr(config, field.name) for field in fields(Workload)})


def make_network(config: TrainConfig, queries: np.ndarray) -> tuple[Network, NetworkSpec]:
    """The network that the flags describe, its random weights decided by the seed alone; `--weights` are loaded later."""
    size = DecoderSize(**config.decoder_size)
    classes, embedding = queries.shape
    kinds = config.queries, config.classifier, config.label_attention == "on"
    spec = NetworkSpec(config.encoder, classes, embedding, size, *kinds, config.drop_path, int(config.stride), config.decoder)
    torch.manual_seed(config.seed)
    network = Network(spec, torch.from_numpy(queries))
    return network, spec


def make_optimizer(config: TrainConfig, network: Network) -> torch.optim.Optimizer:
    """AdamW on what is not frozen; vectors (norms, biases) are not decayed.

    `scale` of a group is the factor of its rate: `--encoder-lr` times the factor of `--layer-decay` in the encoder, else 1.
    """
    if config.freeze == "encoder":
        network.encoder.requires_grad_(False)
    scales = rate_scales(network.encoder.network, config.layer_decay) if config.layer_decay < 1 else {}
    groups: dict[tuple[float, bool], list[torch.nn.Parameter]] = {(1.0, True): [], (1.0, False): []}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            scale = 1.0
            if name.startswith("encoder."):
                scale = scales.get(name.removeprefix("encoder.network."), 1.0) * config.encoder_lr
            groups.setdefault((scale, parameter.dim() > 1), []).append(parameter)
    decays = {True: config.weight_decay, False: 0.0}
    described = [
        {"params": found, "weight_decay": decays[decayed], "scale": scale} for (scale, decayed), found in groups.items()
    ]
    return torch.optim.AdamW(described, lr=config.rate, fused=True)
