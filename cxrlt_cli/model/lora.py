"""Low-rank adaptation of an encoder (LoRA; Hu et al., ICLR 2022): `--tune lora:RANK`.

Every weight W of the attention and of the layers between is frozen, and W + B A is used instead, where A (RANK, in) starts
random, B (out, RANK) at 0. As a parametrisation of the weight it also acts where a library reads the weight itself instead of
calling the layer (fused attention of EVA, BEiT and Swin), where a wrapper around the layer would be bypassed.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from cxrlt_cli.errors import UserError
from cxrlt_cli.model.encoder import VisualEncoder


class LowRank(nn.Module):
    """W to W + B A. The factor alpha / rank of the paper is 1: with AdamW it acts as a factor of the learning rate."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.empty(rank, weight.shape[1]))
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)

    def forward(self, weight: Tensor) -> Tensor:
        """(out, in) to (out, in)."""
        return weight + self.up @ self.down


def add_low_rank(encoder: VisualEncoder, rank: int, seed: int) -> int:
    """Freezes an encoder and adds trainable low-rank terms to the weights of its linear layers, in place.

    Args:
        encoder: with the weights to start from.
        rank: of the terms.
        seed: of their random start.

    Returns:
        Number of adapted weights; those whose smaller side is not above the rank stay frozen.

    Raises:
        UserError: it has no linear layer wider than the rank.
    """
    torch.manual_seed(seed)
    encoder.requires_grad_(False)
    matrices = [(module, name) for module in encoder.network.modules() for name in _matrices(module)]
    found = [(module, name) for module, name in matrices if rank < min(getattr(module, name).shape)]
    if not found:
        raise UserError(
            f"--tune lora:{rank}: {encoder.name} has no linear layers wider than {rank}",
            "give a transformer and a smaller rank, or --tune full",
        )
    for module, name in found:
        parametrize.register_parametrization(module, name, LowRank(getattr(module, name), rank))
    return len(found)


def merged_state(network: nn.Module) -> dict[str, Tensor]:
    """The network's weights with the low-rank terms added in, under the names that the network has without them."""
    state: dict[str, Tensor] = {}
    with torch.no_grad():
        for key, value in network.state_dict().items():
            place, marked, rest = key.partition(".parametrizations.")
            if not marked:
                state[key] = value
            elif rest.endswith(".original"):
                name = rest.removesuffix(".original")
                state[f"{place}.{name}"] = getattr(network.get_submodule(place), name).detach()
    return state


def _matrices(module: Any) -> list[str]:
    """The weight of a linear layer, and the joint weight of the queries, keys and values of torch's attention."""
    if isinstance(module, nn.Linear):
        return ["weight"]
    joint = isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None
    return ["in_proj_weight"] if joint else []
