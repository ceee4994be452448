"""Builds the network and the optimizer from the flags."""

from dataclasses import replace

import numpy as np
import torch

from cxrlt_cli.model.decoder import DecoderSize
from cxrlt_cli.model.network import Network, NetworkSpec
from cxrlt_cli.train.adamw import AdamW
from cxrlt_cli.train.settings import NetworkSettings, OptimizerSettings
from cxrlt_cli.tricks.layer_decay import lr_scales


def make_network(
    settings: NetworkSettings, queries: np.ndarray, trained: np.ndarray | None = None, grid: int | None = None
) -> tuple[Network, NetworkSpec]:
    """The network for the flags. The seed alone decides its random weights; `--weights` are loaded later.

    Args:
        settings: the flags.
        queries: (C, D) label embeddings.
        trained: (C,) bool, the classes that have training labels; None for all.
        grid: of the stored features that it is trained on (`NetworkSpec.grid`); None for pixels.
    """
    size = DecoderSize(**settings.decoder_size)
    classes, embedding = queries.shape
    kinds = settings.queries, settings.classifier, settings.label_attention == "on"
    sizes = settings.drop_path, int(settings.stride), settings.decoder
    spec = NetworkSpec(settings.encoder, classes, embedding, size, *kinds, *sizes, grid=grid)
    torch.manual_seed(settings.seed)
    network = Network(spec, torch.from_numpy(queries), None if trained is None else torch.from_numpy(trained))
    architecture = network.encoder.architecture
    return network, replace(spec, architecture=architecture.saved()) if architecture else spec


def make_optimizer(settings: OptimizerSettings, network: Network) -> torch.optim.Optimizer:
    """AdamW on the parameters that are not frozen; no weight decay on vectors (norms, biases).

    `scale` of a group is the factor of its learning rate: in the encoder `--encoder-lr` times that of `--layer-decay`, else 1.
    """
    if settings.freeze == "encoder":
        network.encoder.requires_grad_(False)
    scales = lr_scales(network.encoder.network, settings.layer_decay) if settings.layer_decay < 1 else {}
    groups: dict[tuple[float, bool], list[torch.nn.Parameter]] = {(1.0, True): [], (1.0, False): []}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            scale = 1.0
            if name.startswith("encoder."):
                scale = scales.get(name.removeprefix("encoder.network."), 1.0) * settings.encoder_lr
            groups.setdefault((scale, parameter.dim() > 1), []).append(parameter)
    decays = {True: settings.weight_decay, False: 0.0}
    described = [
        {"params": found, "weight_decay": decays[decayed], "scale": scale} for (scale, decayed), found in groups.items()
    ]
    return AdamW(described, lr=settings.lr, fused=True)
