"""What is tried once before the first step: whether the network compiles, and how much of a batch its memory holds."""

from collections.abc import Callable

import torch
from torch import nn

from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, reason

Pass = Callable[[int], None]


def training_pass(network: nn.Module, size: int, device: torch.device, precision: torch.dtype) -> Pass:
    """A forward and backward pass of so many images in training form, after which the network is as it was."""

    def tried(count: int) -> None:
        buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
        training = network.training
        try:
            with torch.random.fork_rng([device] if device.type == "cuda" else []):
                images = torch.randn(count, 1, size, size, device=device)
                with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                    logits = network.train()(images)
                logits.float().sum().backward()
        finally:
            network.train(training)
            network.zero_grad(set_to_none=True)
            for name, buffer in network.named_buffers():
                buffer.copy_(buffers[name])

    return tried


def compile_network(network: nn.Module, tried: Pass, count: int, device: torch.device) -> bool:
    """Compiles the network in place, for batches of `count`; false, with a warning, where that or the first pass fails.

    On a GPU the steps of a shape are recorded as CUDA graphs (`reduce-overhead`), as shapes do not change in training.
    """
    network.compile(mode="reduce-overhead" if device.type == "cuda" else None)
    try:
        tried(count)
    except Exception as error:  # noqa: BLE001 - a compiler fails in more ways than can be named; without it all works
        network._compiled_call_impl = None
        warn(f"--compile: {reason(error)}; it goes on without")
        return False
    return True


def fitting_parts(count: int, tried: Pass) -> int:
    """The fewest equal parts of `count` images of which each fits into memory; parts of 1 image at least.

    Raises:
        UserError: not even one image fits.
    """
    for parts in (number for number in range(1, count + 1) if count % number == 0):
        try:
            tried(count // parts)
        except torch.OutOfMemoryError:
            continue
        except RuntimeError as error:
            if "can't allocate memory" not in str(error):  # torch's words on a CPU
                raise
            continue
        return parts
    raise UserError("not even one image fits into memory", "--checkpointing needs less, as do a smaller --encoder and --size")
