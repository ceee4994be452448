"""The machine's limits (matrix products, memory bandwidth), and a timer."""

import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

_MIN_ROUNDS = 3
_GPU_SIDE, _CPU_SIDE = 8192, 2048  # of the matrices that are multiplied
_COPIED = 1 << 28  # bytes


def seconds_of(run: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Shortest time of a call after a warm-up call; repeated for about `seconds`, at least three times.

    The shortest is reported, because other load on the machine only adds time.
    """
    run()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < _MIN_ROUNDS or time.perf_counter() < end:
        _wait(device)
        begin = time.perf_counter()
        run()
        _wait(device)
        times.append(time.perf_counter() - begin)
    return min(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matmul_speed(device: torch.device, precision: torch.dtype, seconds: float) -> float:
    """Floating-point operations per second of a product of large square matrices; a multiplication and an addition are 2."""
    side = _GPU_SIDE if device.type == "cuda" else _CPU_SIDE
    matrix = torch.randn(side, side, device=device, dtype=precision)
    out = torch.empty_like(matrix)
    return 2 * side**3 / seconds_of(lambda: torch.mm(matrix, matrix, out=out), device, seconds)


def copy_speed(device: torch.device, seconds: float) -> float:
    """Bytes per second, read plus written, of copying 256 MiB."""
    source = torch.zeros(_COPIED, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return 2 * source.numel() / seconds_of(lambda: target.copy_(source), device, seconds)


def operations_of(run: Callable[[], object]) -> int:
    """Floating-point operations of convolutions and matrix products in a call, as counted by torch."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())
