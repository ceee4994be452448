"""In which precision and memory layout a network is computed: measured when a run begins, and kept with the run."""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cxrlt_cli.artifacts.json_files import read_json
from cxrlt_cli.compute.device import choose_precision
from cxrlt_cli.console import say
from cxrlt_cli.errors import UserError
from cxrlt_cli.model.encoder import VisualEncoder

LAYOUTS = {"channels-last": torch.channels_last, "plain": torch.contiguous_format}
_PRECISIONS = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
_ROUNDS, _SECONDS = 3, 20.0
_PIXELS = 8 * 224 * 224  # of the batch that is measured with
#: How many times the images/s of what is usual another must have: a busy machine's accidents decide nothing, and less
#: precision is not taken for little.
_LAYOUT_GAIN, _PRECISION_GAIN = 1.1, 1.2


@dataclass(frozen=True)
class Workload:
    """What of a run decides which form is fastest, named as in the options of its `config.json`."""

    encoder: str
    stride: str
    drop_path: float
    batch_size: int
    freeze: str
    precision: str
    layout: str


@dataclass(frozen=True)
class ComputeMode:
    """How a run computes.

    Attributes:
        precision: fp32, bf16 or fp16, of convolutions and products.
        layout: channels-last or plain.
        images_per_s: what was measured of the encoder, forward and backward; empty where the flags left no choice.
        device: on which.
    """

    precision: str
    layout: str
    images_per_s: dict[str, float] = field(default_factory=dict)
    device: str = ""

    @property
    def name(self) -> str:
        """As it is told."""
        return f"{self.precision}, {self.layout}"

    def saved(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def choose_compute_mode(workload: Workload, size: int, device: torch.device) -> ComputeMode:
    """The form of a new run: what the flags say, and, where they say auto, what is fastest here for this encoder and size.

    Raises:
        UserError: the flags name what the device has not, or no encoder.
    """
    usual_layout = "channels-last" if device.type == "cuda" or size >= 112 else "plain"
    layout = usual_layout if workload.layout == "auto" else workload.layout
    usual = ComputeMode(_PRECISIONS[choose_precision(workload.precision, device)], layout)
    others = []
    if workload.layout == "auto":
        others.append(ComputeMode(usual.precision, "plain" if layout == "channels-last" else "channels-last"))
    if workload.precision == "auto":
        others.append(ComputeMode("bf16" if usual.precision == "fp32" else "fp32", layout))
    if not others or workload.freeze == "encoder":  # a frozen encoder has no way back to measure
        return usual
    try:
        speeds = _measure(workload, size, device, [usual, *others])
    except (RuntimeError, AssertionError, ValueError):  # an encoder that cannot take this size says so in its own words later
        return usual
    chosen = _fastest(speeds, usual)
    rates = {name: round(rate, 2) for name, rate in speeds.items()}
    say(f"computes in {chosen.name}; measured: {', '.join(f'{name} {rate:.1f} images/s' for name, rate in rates.items())}")
    return ComputeMode(chosen.precision, chosen.layout, rates, device_name(device))


def saved_compute_mode(runs: Path, workload: Workload, size: int, device: torch.device) -> ComputeMode | None:
    """What was measured for another run of the folder that computes the same on such a device, None where there is none.

    Runs that are compared so compute alike, also where a measurement would come out now so, now otherwise.
    """
    for path in sorted(runs.glob("*/config.json")):
        try:
            described = read_json(path)
            form = compute_mode_of(described)
            same = all(described["options"].get(name) == value for name, value in asdict(workload).items())
            if same and described["pixels"]["size"] == size and form.device == device_name(device):
                say(f"computes in {form.name}, as was measured for {path.parent}")
                return form
        except (UserError, KeyError, AttributeError, TypeError):  # a damaged run, or one of another version
            continue
    return None


def device_name(device: torch.device) -> str:
    """What a measurement holds for."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"


def _fastest(speeds: dict[str, float], usual: ComputeMode) -> ComputeMode:
    """The layout and the precision that gain enough, each by itself."""
    precision, layout = usual.precision, usual.layout
    for name, rate in speeds.items():
        other_precision, other_layout = name.split(", ")
        gain = rate / speeds[usual.name]
        if other_layout != usual.layout and gain > _LAYOUT_GAIN:
            layout = other_layout
        if other_precision != usual.precision and gain > _PRECISION_GAIN:
            precision = other_precision
    return ComputeMode(precision, layout)


def _measure(workload: Workload, size: int, device: torch.device, forms: list[ComputeMode]) -> dict[str, float]:
    """Images/s of each form: the best of a few rounds, in turn, after one that does not count. No later draw is changed."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        encoder = VisualEncoder(workload.encoder, workload.drop_path, int(workload.stride)).to(device).train()
        images = torch.randn(max(1, min(workload.batch_size, _PIXELS // size**2)), 1, size, size, device=device)
        seconds: dict[str, list[float]] = {form.name: [] for form in forms}
        end = time.monotonic() + _SECONDS
        for counts in range(_ROUNDS + 1):
            for form in forms:
                passed = _pass(encoder, images, form)
                if counts:
                    seconds[form.name].append(passed)
            if counts and time.monotonic() > end:
                break
    return {name: len(images) / min(times) for name, times in seconds.items()}


def _pass(encoder: nn.Module, images: torch.Tensor, form: ComputeMode) -> float:
    """Seconds of one forward and backward pass."""
    layout = LAYOUTS[form.layout]
    encoder.to(memory_format=layout)
    encoder.zero_grad()
    images = images.contiguous(memory_format=layout)
    _wait(images.device)
    begin = time.perf_counter()
    with torch.autocast(images.device.type, precision_of(form), enabled=form.precision != "fp32"):
        features = encoder(images)
    features.float().mean().backward()
    _wait(images.device)
    return time.perf_counter() - begin


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def precision_of(form: ComputeMode) -> torch.dtype:
    """The type that convolutions and products are computed in."""
    return next(dtype for dtype, name in _PRECISIONS.items() if name == form.precision)


def compute_mode_of(described: dict[str, Any]) -> ComputeMode:
    """The form in a run's `config.json`. Raises UserError where it is none."""
    try:
        form = ComputeMode(**described["form"])
        LAYOUTS[form.layout], precision_of(form)
    except (KeyError, TypeError, StopIteration):
        raise UserError(
            "config.json of the run does not say in which form it computes", "begin again with --overwrite"
        ) from None
    return form
