"""Batch norms folded into the convolutions before them: the form in which a network that learns no more is fastest."""

from typing import Any

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(encoder: nn.Module) -> int:
    """Folds each batch norm whose input is a convolution that feeds nothing else, in place; equal but for rounding.

    In evaluation form a batch norm is a factor and an offset a channel (Jacob et al., CVPR 2018, 3.2). One that follows
    anything else, as half of DenseNet's do, stays. Where torch.fx cannot follow the
    calls of the encoder, it is tried on the network within; else all stays as it is.

    Args:
        encoder: in evaluation form.

    Returns:
        How many were folded.
    """
    graph = _followed(encoder)
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


def _followed(encoder: nn.Module) -> fx.Graph | None:
    try:
        return fx.Tracer().trace(encoder)
    except (fx.proxy.TraceError, TypeError, RuntimeError, ValueError, AssertionError, AttributeError):
        return None


def _is(node: Any, kind: type[nn.Module], modules: dict[str, Any]) -> bool:
    """Whether a node calls a module of exactly this kind: timm's batch norms of another kind also activate."""
    return isinstance(node, fx.Node) and node.op == "call_module" and type(modules[str(node.target)]) is kind
