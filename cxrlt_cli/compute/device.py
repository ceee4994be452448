"""Device of a process, and precision of its convolutions and matrix products."""

import torch

from cxrlt_cli.errors import UserError


def choose_device(name: str, local: int = 0) -> torch.device:
    """The device for `--device`, for local rank `local`.

    Raises:
        UserError: CUDA was requested but is not available.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU", "run on a node with a GPU, or use --device cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", local % torch.cuda.device_count())  # a launcher may show each process only its own GPU
    torch.cuda.set_device(device)
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Data type of convolutions and matrix products."""
    if name == "auto":
        if device.type == "cpu":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if name == "fp16" and device.type == "cpu":
        raise UserError("--precision fp16 needs a GPU", "on a CPU use --precision fp32 or bf16")
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[name]
