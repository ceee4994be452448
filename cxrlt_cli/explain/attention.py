"""Attention maps: the cross-attention weights of each label's query, read during the forward pass.

Attention shows which locations a query reads, not how they change the logit; for that see `attribution`.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from cxrlt_cli.model.decoder import LabelQueryDecoder, LayerAttention
from cxrlt_cli.model.glori import Glori
from cxrlt_cli.model.network import Network
from cxrlt_cli.model.transformer_decoder import EarlyTransformerLabelDecoder, TransformerLabelDecoder

Layers = Literal["last", "rollout"]


def attention_map(network: Network, features: Tensor, layers: Layers = "last") -> Tensor | None:
    """The attention of each label's query over the image.

    Args:
        network: in evaluation mode.
        features: (B, channels, h, w) of `network.encode`.
        layers: `last` is the last layer's cross-attention, `rollout` follows all of them.

    Returns:
        (B, C, h, w) float32, each map summing to 1; None if the network has no queries.
    """
    with torch.no_grad():
        if isinstance(network.decoder, LabelQueryDecoder | Glori):
            attentions = network.decoder.attend(features)[1]
        elif isinstance(network.decoder, TransformerLabelDecoder | EarlyTransformerLabelDecoder):
            attentions = _attention_of_transformer(network.decoder, features)
        else:
            return None
    found = attentions[-1].patches if layers == "last" else rollout(attentions)
    return found.float().reshape(*found.shape[:2], *features.shape[2:])


def rollout(layers: list[LayerAttention]) -> Tensor:
    """Attention rollout (Abnar and Zuidema, ACL 2020): how much of each patch reaches each label through all layers.

    A sub-layer and its residual have weight 1/2 each. Queries start without image content: R = 0; in each layer
    R <- (R + A_labels R) / 2, then R <- (R + A_patches) / 2. Rows are scaled to sum to 1 at the end.

    Returns:
        (B, C, P).
    """
    reached = torch.zeros_like(layers[0].patches)
    for layer in layers:
        if layer.labels is not None:
            reached = (reached + layer.labels @ reached) / 2
        reached = (reached + layer.patches) / 2
    return reached / reached.sum(dim=2, keepdim=True)


def _attention_of_transformer(
    decoder: TransformerLabelDecoder | EarlyTransformerLabelDecoder, features: Tensor
) -> list[LayerAttention]:
    """Runs the decoder and makes each `MultiheadAttention` return its weights, which it does not compute by default."""
    weights: dict[nn.Module, Tensor] = {}

    def ask(_: nn.Module, arguments: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return arguments, {**options, "need_weights": True, "average_attn_weights": True}

    def keep(module: nn.Module, _: Any, output: Any) -> None:
        weights[module] = output[1].float()

    attentions = [module for module in decoder.modules() if isinstance(module, nn.MultiheadAttention)]
    hooks = [module.register_forward_pre_hook(ask, with_kwargs=True) for module in attentions]
    hooks += [module.register_forward_hook(keep) for module in attentions]
    try:
        decoder(features)
    finally:
        for hook in hooks:
            hook.remove()
    layers: list[Any] = list(decoder.decoder.layers)
    return [
        LayerAttention(weights[layer.self_attn] if hasattr(layer, "self_attn") else None, weights[layer.multihead_attn])
        for layer in layers
    ]
