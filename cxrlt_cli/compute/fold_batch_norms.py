"""Folds BatchNorm layers into the convolutions before them, for faster inference."""

from typing import Any

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(encoder: nn.Module) -> int:
    """Folds each BatchNorm whose input is a convolution with no other consumer, in place; equal up to rounding.

    In evaluation mode a BatchNorm is a scale and an offset per channel (Jacob et al., CVPR 2018, 3.2). A BatchNorm after
    another operation, as half of DenseNet's, is kept. If torch.fx cannot trace the encoder, the wrapped network is tried; if
    that fails too, nothing is changed.

    Args:
        encoder: in evaluation mode.

    Returns:
        Number of folded layers.
    """
    graph = _traced(encoder)
    if graph is None:
        inner = getattr(encoder, "network", None)
        return fold_batch_norms(inner) if isinstance(inner, nn.Module) else 0
    modules: dict[str, Any] = dict(encoder.named_modules())
    pairs = [(node.args[0], node) for node in graph.nodes if _is(node, nn.BatchNorm2d, modules)]
    pairs = [(conv, norm) for conv, norm in pairs if _is(conv, nn.Conv2d, modules) and len(conv.users) == 1]
    called = [node.target for node in graph.nodes if node.op == "call_module"]
    pairs = [(conv, norm) for conv, norm in pairs if called.count(conv.target) == called.count(norm.target) == 1]
    with torch.no_grad():
        for conv, norm in pairs:
            encoder.set_submodule(conv.target, fuse_conv_bn_eval(modules[conv.target], modules[norm.target]))
            encoder.set_submodule(norm.target, nn.Identity())
    return len(pairs)


def _traced(encoder: nn.Module) -> fx.Graph | None:
    """The graph of an encoder; None if torch.fx cannot trace it."""
    try:
        return fx.Tracer().trace(encoder)
    except (fx.proxy.TraceError, TypeError, RuntimeError, ValueError, AssertionError, AttributeError):
        return None


def _is(node: Any, kind: type[nn.Module], modules: dict[str, Any]) -> bool:
    """Whether a node calls a module of exactly this type (timm's BatchNorm subclasses include an activation)."""
    return isinstance(node, fx.Node) and node.op == "call_module" and type(modules[str(node.target)]) is kind
