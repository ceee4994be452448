"""The machine's limits (matrix products, memory bandwidth), and a timer."""

import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

_LEAST_ROUNDS = 3
_GPU_SIDE, _CPU_SIDE = 8192, 2048  # of the matrices that are multiplied
_COPIED = 1 << 28  # bytes


def seconds_of(run: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Shortest time of a call after a warm-up call; repeated for about `seconds`, at least three times.

    The shortest, because other load only adds time.
    """
    run()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < _LEAST_ROUNDS or time.perf_counter() < end:
        _wait(device)
        begin = time.perf_counter()
        run()
        _wait(device)
        times.append(time.perf_counter() - begin)
    return min(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def product_rate(device: torch.device, precision: torch.dtype, seconds: float) -> float:
    """Operations a second (2 for a multiplication and its addition) of the product of two large square matrices."""
    side = _GPU_SIDE if device.type == "cuda" else _CPU_SIDE
    matrix = torch.randn(side, side, device=device, dtype=precision)
    out = torch.empty_like(matrix)
    return 2 * side**3 / seconds_of(lambda: torch.mm(matrix, matrix, out=out), device, seconds)


def memory_rate(device: torch.device, seconds: float) -> float:
    """Bytes a second, read and written, of copying 256 MiB."""
    source = torch.zeros(_COPIED, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return 2 * source.numel() / seconds_of(lambda: target.copy_(source), device, seconds)


def operations_of(run: Callable[[], object]) -> int:
    """Floating-point operations of convolutions and matrix products in a call, as counted by torch."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())
