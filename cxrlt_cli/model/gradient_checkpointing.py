"""Gradient checkpointing: activations inside each encoder block are recomputed in the backward pass instead of stored."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cxrlt_cli.errors import UserError
from cxrlt_cli.model.encoder import VisualEncoder


def checkpoint_blocks(encoder: VisualEncoder) -> None:
    """Makes each encoder block store only its input during training (Chen et al., arXiv 1604.06174).

    Results do not change: random draws (stochastic depth) are repeated, and BatchNorm statistics are updated once. Networks of
    timm, open_clip and transformers use their library's implementation; timm's updates the statistics twice a step. Do not copy
    the network afterwards.

    Raises:
        UserError: the library does not support it for this network.
    """
    network = encoder.network
    if encoder.torchvision:
        for block in _blocks(network):
            block.forward = partial(_recomputed, block, block.forward)
    elif encoder.library == "transformers" and not network.supports_gradient_checkpointing:
        raise UserError(f"--checkpointing: transformers does not support it for {encoder.name}", "give a smaller --batch-size")
    elif encoder.library == "transformers":
        enable = getattr(network, "activation_checkpointing_enable", network.gradient_checkpointing_enable)
        enable({"use_reentrant": False})  # the second name is that of transformers before 5
    else:
        getattr(network, "visual", network).set_grad_checkpointing(True)


def _blocks(network: Any) -> Iterator[nn.Module]:
    """The blocks of the stages: residual or dense blocks."""
    if hasattr(network, "layer1"):
        stages = [network.layer1, network.layer2, network.layer3, network.layer4]
    else:
        stages = list(getattr(network, "features", network).children())
    for stage in stages:
        inner = [block for block in stage.children() if list(block.children())] if isinstance(stage, nn.Sequential) else []
        yield from inner or ([stage] if list(stage.children()) else [])


def _recomputed(block: nn.Module, forward: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    if not (block.training and torch.is_grad_enabled()):
        return forward(*inputs)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _frozen_statistics(block)

    kept: Tensor = checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts)
    return kept


@contextmanager
def _frozen_statistics(block: nn.Module) -> Iterator[None]:
    """Inside, BatchNorm normalises by the batch as in training but does not update its running statistics."""
    norms = [module for module in block.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
