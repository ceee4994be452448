"""Device of a process, and precision of its convolutions and matrix products."""

import torch

from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError


def choose_device(name: str, local: int = 0) -> torch.device:
    """The device for `--device`, for local rank `local`. auto: a CUDA GPU if there is one; mps only on request.

    Raises:
        UserError: CUDA or mps was requested but is not available, or mps by several processes.
    """
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise UserError("--device mps: torch finds no Apple GPU", "on another machine use --device auto")
        if local:
            raise UserError("--device mps: several processes cannot share an Apple GPU", "start one process")
        return torch.device("mps")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU", "run on a node with a GPU, or use --device cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", local % torch.cuda.device_count())  # a launcher may show each process only its own GPU
    torch.cuda.set_device(device)
    torch.backends.cudnn.deterministic = True  # else runs of the same seed differ in fp32 (docs/results/gpu.md)
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Data type of convolutions and matrix products. Raises UserError for fp16 without CUDA."""
    if name == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if name == "bf16" and not computes_bf16(device):
        warn("this processor has no instructions for bf16: --precision bf16 takes many times as long as fp32")
    if name == "fp16" and device.type != "cuda":
        raise UserError("--precision fp16 needs a GPU with CUDA", "use --precision fp32 or bf16")
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[name]


def computes_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for bf16. A CPU without them takes about 30 times as long as in fp32."""
    if device.type != "cpu":
        return True
    there = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return there and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
