"""From flags to tricks: the one place that chooses."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.data.augment import Amounts, augment, normalise, to_unit
from cxrlt_cli.data.batches import Batch
from cxrlt_cli.data.randomness import Stream, batch_generator
from cxrlt_cli.errors import UserError
from cxrlt_cli.model.decoder import DecoderSize
from cxrlt_cli.model.encoder import load_encoder
from cxrlt_cli.model.network import Network, NetworkSpec
from cxrlt_cli.model.weights import imagenet_file
from cxrlt_cli.tricks.bce import bce
from cxrlt_cli.tricks.masked_mean import masked_mean
from cxrlt_cli.tricks.mixup import mixup

Inputs = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Recipe:
    """How one batch becomes one loss.

    Attributes:
        inputs: (batch, epoch, step) -> the network's images (B, 1, S, S), targets and known (B, C).
        loss: (logits, targets, known) -> a number.
    """

    inputs: Callable[[Batch, int, int], Inputs]
    loss: Callable[[Tensor, Tensor, Tensor], Tensor]


def make_recipe(config: TrainConfig, weights: np.ndarray, device: torch.device) -> Recipe:
    """The recipe that the flags describe; `weights` are the (C,) class weights."""
    class_weights = torch.from_numpy(weights.astype(np.float32)).to(device) if (weights != 1).any() else None

    def inputs(batch: Batch, epoch: int, step: int) -> Inputs:
        images = to_unit(batch.images)
        if config.augment == "standard":
            images = augment(images, config.seed, epoch, batch.rows, Amounts())
        images, targets, known = normalise(images), batch.targets, batch.known
        if config.mixup > 0:
            draws = batch_generator(config.seed, step, Stream.BATCH)
            partner = torch.from_numpy(draws.permutation(len(images))).to(device)
            images, targets, known = mixup(images, targets, known, draws.beta(config.mixup, config.mixup), partner)
        return images, targets, known

    def loss(logits: Tensor, targets: Tensor, known: Tensor) -> Tensor:
        return masked_mean(bce(logits.float(), targets), known, class_weights)

    return Recipe(inputs, loss)


def make_network(config: TrainConfig, queries: np.ndarray) -> tuple[Network, NetworkSpec]:
    """The network that the flags describe, its start decided by the seed alone.

    Raises:
        UserError: `--weights` are not there or of another network.
    """
    size = DecoderSize(
        layers=config.decoder_layers,
        heads=config.decoder_heads,
        width=config.decoder_width,
        feedforward=config.decoder_feedforward,
        dropout=config.decoder_dropout,
    )
    spec = NetworkSpec(config.encoder, classes=queries.shape[0], embedding=queries.shape[1], decoder=size)
    torch.manual_seed(config.seed)
    network = Network(spec, torch.from_numpy(queries))
    if config.weights != "none":
        load_encoder(network.encoder, imagenet_file(config.encoder) if config.weights == "imagenet" else Path(config.weights))
    return network, spec


def make_optimizer(config: TrainConfig, network: nn.Module) -> torch.optim.Optimizer:
    """AdamW; vectors (norms, biases) are not decayed."""
    decayed = [parameter for parameter in network.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in network.parameters() if parameter.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.rate)


def choose_device(name: str) -> torch.device:
    """The device that `--device` means. Raises UserError where CUDA is asked for and not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no GPU", "run on a node with one, or --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The type that convolutions and products are computed in."""
    if name == "auto":
        if device.type == "cpu":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if name == "fp16" and device.type == "cpu":
        raise UserError("--precision fp16 needs a GPU", "on a CPU: --precision fp32 or bf16")
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[name]
