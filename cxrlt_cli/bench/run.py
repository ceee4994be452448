"""The command `bench`: measures the parts of training and prediction, and names the one that limits training."""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from cxrlt_cli.bench.roofline import copy_speed, matmul_speed, operations_of, seconds_of
from cxrlt_cli.bench.workloads import Parts, make_parts
from cxrlt_cli.compute.autotune import device_name, precision_of
from cxrlt_cli.compute.device import choose_device
from cxrlt_cli.config.bench import BenchConfig
from cxrlt_cli.console import data, say, table
from cxrlt_cli.machine import keep_memory
from cxrlt_cli.results import MachineSpeed
from cxrlt_cli.train.train import settings_of
from cxrlt_cli.workspace import Workspace

_LOADING, _NETWORK = ("reading", "augmentation"), ("forward", "backward", "step")


@dataclass(frozen=True)
class Measured:
    """Result of one part.

    Attributes:
        images_per_s: speed of the part by itself.
        fraction: of the limit: matrix products, or memory bandwidth for reading and augmentation.
        epoch_hours: time of the requested epoch if only this part ran.
    """

    images_per_s: float
    fraction: float
    epoch_hours: float


def bench_machine(config: BenchConfig, _workspace: Workspace) -> MachineSpeed:
    """Measures and prints. Raises UserError if options conflict or the encoder does not accept the size."""
    keep_memory()
    device = choose_device(config.device)
    with tempfile.TemporaryDirectory() as folder:
        parts = make_parts(settings_of(config.training), config.size, config.classes, Path(folder), device)
        products = matmul_speed(device, precision_of(parts.mode), config.seconds)
        memory = copy_speed(device, config.seconds)
        measured = _measure(config, parts, products, memory)
    slowest = _bottleneck(measured)
    found = MachineSpeed({name: part.images_per_s for name, part in measured.items()}, slowest)
    if config.json:
        facts = {
            "device": device_name(device),
            "compute_mode": parts.mode.name, "matmul_speed": products, "copy_speed": memory, "bottleneck": slowest,
            "parts": {name: asdict(part) for name, part in measured.items()},
        }  # fmt: skip
        data(json.dumps(facts, indent=1))
        return found
    say(f"{config.encoder}, {config.size} px, batches of {config.batch_size}, {device}, {parts.mode.name}")
    say(f"limits: {products / 1e12:.3g} Tflop/s in matrix products, {memory / 1e9:.3g} GB/s in copying memory")
    rows = [
        [
            name,
            f"{part.images_per_s:.1f}",
            f"{part.fraction:.0%} of {'memory bandwidth' if name in _LOADING else 'matrix products'}",
            _hours(part),
        ]
        for name, part in measured.items()
    ]
    data(table(["part", "images/s", "fraction of the limit", f"hours for {config.images}"], rows))
    data(f"bottleneck of training: {slowest}")
    return found


def _hours(part: Measured) -> str:
    return f"{part.epoch_hours:.2f}" if part.epoch_hours < 10 else f"{part.epoch_hours:.0f}"


def _measure(config: BenchConfig, parts: Parts, products: float, memory: float) -> dict[str, Measured]:
    device, batch = parts.training.device, config.batch_size
    epoch = len(parts.training.dataset.table) // batch * batch
    pixels = config.size**2

    def measured(count: int, seconds: float, work: float, limit: float) -> Measured:
        speed = count / seconds
        return Measured(speed, speed * work / limit, config.images / speed / 3600)

    def timed(run: object) -> float:
        assert callable(run)
        return seconds_of(run, device, config.seconds)

    forward, both = operations_of(parts.forward) / batch, operations_of(parts.forward_and_backward) / batch
    once = operations_of(lambda: parts.predict(1)) / batch
    forwards, passes = timed(parts.forward), timed(parts.forward_and_backward)
    return {
        "reading": measured(epoch, timed(parts.read), 2 * pixels, memory),
        "augmentation": measured(epoch, timed(parts.augment), 6 * pixels, memory),
        "forward": measured(batch, forwards, forward, products),
        "backward": measured(batch, max(passes - forwards, 1e-9), both - forward, products),
        "step": measured(batch, timed(parts.step), both, products),
        "predict, 1 view": measured(batch, timed(lambda: parts.predict(1)), once, products),
        "predict, 8 views": measured(batch, timed(lambda: parts.predict(8)), 8 * once, products),
    }


def _bottleneck(measured: dict[str, Measured]) -> str:
    """The bottleneck of training: loading overlaps with computation; of the computation, the slower of forward and backward."""
    loading = min(_LOADING, key=lambda name: measured[name].images_per_s)
    if measured[loading].images_per_s < measured["step"].images_per_s:
        return loading
    return min(_NETWORK[:2], key=lambda name: measured[name].images_per_s)
