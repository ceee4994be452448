"""Where each label's query looked: the decoder's attention, read while the network runs.

Attention says where a query took its values from, not what those values were worth: see `relevance` for that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cxrlt_cli.model.decoder import LabelQueryDecoder
from cxrlt_cli.model.network import Network

Layers = Literal["last", "rollout"]


@dataclass(frozen=True)
class Layer:
    """What one decoder layer attended to, mean over its heads.

    Attributes:
        labels: (B, C, C), each row summing to 1; None where labels do not look at each other.
        patches: (B, C, P), each row summing to 1.
    """

    labels: Tensor | None
    patches: Tensor


def looked_at(network: Network, features: Tensor, layers: Layers = "last") -> Tensor | None:
    """The attention of each label's query over the image.

    Args:
        network: in evaluation form.
        features: (B, channels, h, w) of `network.encode`.
        layers: `last` is the last layer's cross-attention, `rollout` follows all of them.

    Returns:
        (B, C, h, w) float32, each map summing to 1; None where the network has no queries.
    """
    if not isinstance(network.decoder, LabelQueryDecoder):
        return None
    with torch.no_grad(), _weights_kept(network.decoder) as kept:
        network.decoder(features)
    found = kept[-1].patches if layers == "last" else rollout(kept)
    return found.reshape(*found.shape[:2], *features.shape[2:])


def rollout(layers: list[Layer]) -> Tensor:
    """How much of each patch has come to each label, by the attention of all layers.

    Attention rollout (Abnar and Zuidema, ACL 2020), in which each sub-layer and its residual count half, for queries that
    begin with nothing of the image: R = 0; R <- (R + A_labels R) / 2, then R <- (R + A_patches) / 2, layer by layer; rows are
    scaled to 1 in the end.

    Returns:
        (B, C, P).
    """
    come = torch.zeros_like(layers[0].patches)
    for layer in layers:
        if layer.labels is not None:
            come = (come + layer.labels @ come) / 2
        come = (come + layer.patches) / 2
    return come / come.sum(dim=2, keepdim=True)


@contextmanager
def _weights_kept(decoder: LabelQueryDecoder) -> Iterator[list[Layer]]:
    """Asks each attention for its weights, which it leaves out when nobody does; the layers stand in the list at the end."""
    weights: dict[nn.Module, Tensor] = {}

    def ask(_: nn.Module, arguments: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return arguments, {**options, "need_weights": True, "average_attn_weights": True}

    def keep(module: nn.Module, _: Any, output: Any) -> None:
        weights[module] = output[1].float()

    attentions = [module for module in decoder.modules() if isinstance(module, nn.MultiheadAttention)]
    hooks = [module.register_forward_pre_hook(ask, with_kwargs=True) for module in attentions]
    hooks += [module.register_forward_hook(keep) for module in attentions]
    kept: list[Layer] = []
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()
    for layer in decoder.decoder.layers:
        own: Any = layer
        kept.append(Layer(weights[own.self_attn] if hasattr(own, "self_attn") else None, weights[own.multihead_attn]))
