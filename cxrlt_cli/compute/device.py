"""The device that a process computes on, and the precision of its convolutions and products."""

import torch

from cxrlt_cli.errors import UserError


def choose_device(name: str, local: int = 0) -> torch.device:
    """The device that `--device` means, for the process `local` of this machine.

    Raises:
        UserError: CUDA is asked for and not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no GPU", "run on a node with one, or --device cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", local % torch.cuda.device_count())  # a launcher may show each process its own GPU alone
    torch.cuda.set_device(device)
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The type that convolutions and products are computed in."""
    if name == "auto":
        if device.type == "cpu":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if name == "fp16" and device.type == "cpu":
        raise UserError("--precision fp16 needs a GPU", "on a CPU: --precision fp32 or bf16")
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[name]
