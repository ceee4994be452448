"""The network and the optimizer that the flags describe."""

from dataclasses import fields

import numpy as np
import torch

from cxrlt_cli.compute.autotune import Workload
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.model.decoder import DecoderSize
from cxrlt_cli.model.network import Network, NetworkSpec
from cxrlt_cli.tricks.layer_decay import lr_scales


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
    scales = lr_scales(network.encoder.network, config.layer_decay) if config.layer_decay < 1 else {}
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
