"""Trial passes before the first step: whether the network compiles, and how many images fit into memory."""

from collections.abc import Callable

import torch
from torch import nn

from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, reason
from cxrlt_cli.model.network import Network

#: Number of images -> one forward and backward pass.
Pass = Callable[[int], None]
#: Shape of one input of the network: channels, height, width.
Shape = tuple[int, int, int]


def training_pass(network: nn.Module, shape: Shape, device: torch.device, precision: torch.dtype) -> Pass:
    """A function that runs one forward and backward pass of N inputs of a shape in training mode and restores the network."""

    def trial(count: int) -> None:
        buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
        training = network.training
        try:
            with torch.random.fork_rng([device] if device.type == "cuda" else []):
                images = torch.randn(count, *shape, device=device)
                with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                    logits = network.train()(images)
                logits.float().sum().backward()
        finally:
            network.train(training)
            network.zero_grad(set_to_none=True)
            for name, buffer in network.named_buffers():
                buffer.copy_(buffers[name])

    return trial


def least_images(network: Network, frozen: bool, shape: Shape, device: torch.device) -> int:
    """The fewest images of a training pass.

    Returns:
        2 if a batch norm gets a single value per channel from one input of that shape, which has no variance; else 1. The batch
        norms of a `frozen` encoder do not count: they are in evaluation mode.
    """
    values: list[int] = []
    encoder = set(network.encoder.modules()) if frozen else set()
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m not in encoder]
    hooks = [m.register_forward_pre_hook(lambda _, x: values.append(x[0].numel() // x[0].shape[1])) for m in norms]
    training = network.training
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, *shape, device=device))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return 2 if 1 in values else 1


def compile_network(network: nn.Module, trial: Pass, count: int, device: torch.device) -> bool:
    """Compiles the network in place for batches of `count`; returns False with a warning if that or the first pass fails.

    On a GPU steps are recorded as CUDA graphs (`reduce-overhead`), because shapes do not change in training.
    """
    network.compile(mode="reduce-overhead" if device.type == "cuda" else None)
    try:
        trial(count)
    except Exception as error:  # noqa: BLE001 - a compiler fails in more ways than can be named; without it all works
        network._compiled_call_impl = None
        warn(f"--compile failed ({reason(error)}); continuing without it")
        return False
    return True


def fitting_parts(count: int, trial: Pass, least: int = 1) -> int:
    """Smallest number of equal micro-batches of `count` images that fit into memory.

    Args:
        count: images of a step.
        trial: a training pass of that many images.
        least: fewest images of a micro-batch.

    Raises:
        UserError: not even the smallest part fits.
    """
    for parts in (number for number in range(1, count + 1) if count % number == 0 and count // number >= least):
        try:
            trial(count // parts)
        except torch.OutOfMemoryError:
            continue
        except RuntimeError as error:
            if "can't allocate memory" not in str(error):  # torch's message on a CPU
                raise
            continue
        return parts
    few = "one image fits" if least == 1 else f"{least} images fit"
    raise UserError(f"not even {few} into memory", "use --checkpointing, a smaller --encoder or a smaller --size")
