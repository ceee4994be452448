"""Chooses precision and memory layout by measuring when a run starts; the choice is stored with the run."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.artifacts.run_config import ComputeMode, read_run_config
from cxrlt_cli.compute.device import choose_precision, computes_bf16
from cxrlt_cli.console import say
from cxrlt_cli.errors import UserError
from cxrlt_cli.model.encoder import VisualEncoder
from cxrlt_cli.model.network import usual_layout

LAYOUTS = {"channels-last": torch.channels_last, "plain": torch.contiguous_format}
_PRECISIONS = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
_ROUNDS, _SECONDS = 3, 20.0
_PIXELS = 8 * 224 * 224  # of the measured batch
#: Minimum speed-up over the usual mode, so that noise does not decide and precision is not given up for little.
_LAYOUT_GAIN, _PRECISION_GAIN = 1.1, 1.2


@dataclass(frozen=True)
class Workload:
    """The options that determine which mode is fastest, named as in `config.json`."""

    encoder: str
    stride: str
    drop_path: float
    batch_size: int
    freeze: str
    precision: str
    layout: str


def choose_compute_mode(workload: Workload, size: int, device: torch.device) -> ComputeMode:
    """Compute mode of a new run: as the flags say; for `auto`, the fastest one on this device for this encoder and size.

    Raises:
        UserError: the device does not support the precision, or the encoder is unknown.
    """
    layout = workload.layout
    if layout == "auto":
        layout = next(name for name, form in LAYOUTS.items() if form == usual_layout(device, size))
    usual = ComputeMode(_PRECISIONS[choose_precision(workload.precision, device)], layout)
    others = []
    if workload.layout == "auto":
        others.append(ComputeMode(usual.precision, "plain" if layout == "channels-last" else "channels-last"))
    if workload.precision == "auto" and computes_bf16(device):
        others.append(ComputeMode("bf16" if usual.precision == "fp32" else "fp32", layout))
    if not others or workload.freeze == "encoder":  # a frozen encoder has no backward pass to measure
        return usual
    if device.type == "mps":  # channels-last and bf16 were never compared there
        return usual
    try:
        speeds = _measure(workload, size, device, [usual, *others])
    except (RuntimeError, AssertionError, ValueError):  # an unsuitable size is reported later with a clear message
        return usual
    chosen = _fastest(speeds, usual)
    rounded = {name: round(speed, 2) for name, speed in speeds.items()}
    say(f"using {chosen.name} (measured: {', '.join(f'{name} {speed:.1f} images/s' for name, speed in rounded.items())})")
    return ComputeMode(chosen.precision, chosen.layout, rounded, device_name(device))


def saved_compute_mode(runs: Path, workload: Workload, size: int, device: torch.device) -> ComputeMode | None:
    """The mode measured for an earlier run with the same workload and device; None if there is none.

    Runs that are compared thus use the same mode even when measurements vary.
    """
    for path in sorted(runs.glob("*/config.json")):
        try:
            config = read_run_config(Run(path.parent))
        except UserError:  # a damaged run
            continue
        mode = config.compute_mode
        same = all(config.options.get(name) == value for name, value in asdict(workload).items())
        if mode and same and config.pixels["size"] == size and mode.device == device_name(device):
            say(f"using {mode.name}, as measured for {path.parent}")
            return mode
    return None


def device_name(device: torch.device) -> str:
    """Name of the device that a measurement is valid for."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    return f"cpu {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"


def _fastest(speeds: dict[str, float], usual: ComputeMode) -> ComputeMode:
    """Layout and precision, each changed only if it is enough faster."""
    precision, layout = usual.precision, usual.layout
    for name, speed in speeds.items():
        other_precision, other_layout = name.split(", ")
        gain = speed / speeds[usual.name]
        if other_layout != usual.layout and gain > _LAYOUT_GAIN:
            layout = other_layout
        if other_precision != usual.precision and gain > _PRECISION_GAIN:
            precision = other_precision
    return ComputeMode(precision, layout)


def _measure(workload: Workload, size: int, device: torch.device, modes: list[ComputeMode]) -> dict[str, float]:
    """Images/s of each mode: the best of a few interleaved rounds after a warm-up. Torch's random state is restored."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        encoder = VisualEncoder(workload.encoder, workload.drop_path, int(workload.stride)).to(device).train()
        images = torch.randn(max(1, min(workload.batch_size, _PIXELS // size**2)), 1, size, size, device=device)
        seconds: dict[str, list[float]] = {mode.name: [] for mode in modes}
        end = time.monotonic() + _SECONDS
        for number in range(_ROUNDS + 1):
            for mode in modes:
                passed = _pass(encoder, images, mode)
                if number:  # the first round is the warm-up
                    seconds[mode.name].append(passed)
            if number and time.monotonic() > end:
                break
    return {name: len(images) / min(times) for name, times in seconds.items()}


def _pass(encoder: nn.Module, images: torch.Tensor, mode: ComputeMode) -> float:
    """Seconds of one forward and backward pass."""
    layout = LAYOUTS[mode.layout]
    encoder.to(memory_format=layout)
    encoder.zero_grad()
    images = images.contiguous(memory_format=layout)
    _wait(images.device)
    begin = time.perf_counter()
    with torch.autocast(images.device.type, precision_of(mode), enabled=mode.precision != "fp32"):
        features = encoder(images)
    features.float().mean().backward()
    _wait(images.device)
    return time.perf_counter() - begin


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def precision_of(mode: ComputeMode) -> torch.dtype:
    """Data type of convolutions and matrix products."""
    return next(dtype for dtype, name in _PRECISIONS.items() if name == mode.precision)
