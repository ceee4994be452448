"""What a GPU gives: training step, decoder, feeding, scoring, memory, and whether two runs are bit-equal. At most 8 minutes.

python benchmarks/gpu.py [--output FOLDER] [--only PART ...] [--steps ENCODER:PX:BATCH ...] [--tiny] [--seconds S]

Writes FOLDER/gpu.json and FOLDER/gpu.md. Contenders run one after the other in one process. --steps measures these training
steps alone, each with --compile too; compiling takes a minute or more for each. Without a GPU it needs --tiny, which measures
nothing of interest but runs every line.
"""

import argparse
import gc
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch.nn import functional

from cxrlt_cli.bench.roofline import copy_speed, matmul_speed, operations_of, seconds_of
from cxrlt_cli.bench.workloads import Parts, make_parts
from cxrlt_cli.compute.autotune import device_name
from cxrlt_cli.compute.device import choose_device
from cxrlt_cli.compute.probe import fitting_parts, training_pass
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.signals import StopRequest
from cxrlt_cli.train.loop import train_epochs
from cxrlt_cli.train.train import settings_of

CLASSES = 26
DEVICE = choose_device("auto")
GPU = DEVICE.type == "cuda"
LOW = "bf16" if GPU else "fp32"  # a processor without bf16 instructions takes minutes


@dataclass(frozen=True)
class Sizes:
    """What is measured: (encoder, size px, batch, with --compile), and the smaller parts' encoder, size and batch."""

    steps: tuple[tuple[str, int, int, bool], ...] = (
        ("resnet50", 224, 256, True),
        ("resnet50", 512, 64, True),
        ("resnet50", 1024, 16, False),
        ("densenet121", 224, 256, False),
        ("densenet121", 512, 64, False),
        ("densenet121", 1024, 16, False),
        ("convnext_small", 224, 256, True),
        ("convnext_small", 512, 64, True),
        ("convnext_small", 1024, 16, False),
    )
    fed: tuple[tuple[str, int, int], ...] = (
        ("resnet50", 512, 64),
        ("convnext_small", 512, 64),
        ("resnet50", 224, 256),
        ("resnet18", 224, 256),
    )
    small: tuple[str, int, int] = ("resnet50", 224, 128)
    huge: int = 4096


TINY = Sizes((("mobilenet_v3_small", 32, 4, False),), (("timm:test_resnet", 32, 16),), ("timm:test_resnet", 32, 16), 32)


@contextmanager
def parts_of(config: TrainConfig, size: int, images: int = 1024 if GPU else 64) -> Iterator[Parts]:
    """Training and prediction as cxrlt runs them, on made-up images."""
    with tempfile.TemporaryDirectory() as folder:
        yield make_parts(settings_of(config), size, CLASSES, Path(folder), DEVICE, images)
    gc.collect()
    if GPU:
        torch.cuda.empty_cache()


def timed(run: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Seconds of a call, and the peak memory in GB (0 on a CPU)."""
    if not GPU:
        return seconds_of(run, DEVICE, seconds), 0.0
    torch.cuda.reset_peak_memory_stats()
    return seconds_of(run, DEVICE, seconds), torch.cuda.max_memory_allocated() / 1e9


def plain_step(encoder: str, size: int, batch: int, tuned: bool) -> Callable[[], None]:
    """A step as in a script of one's own: three channels, torch's defaults; `tuned`: bf16, channels-last and fused AdamW."""
    torch.manual_seed(0)
    network: torch.nn.Module = getattr(torchvision.models, encoder)(num_classes=CLASSES).to(DEVICE).train()
    layout = torch.channels_last if tuned else torch.contiguous_format
    network = network.to(memory_format=layout)  # type: ignore[call-overload]
    images = torch.randn(batch, 3, size, size, device=DEVICE).contiguous(memory_format=layout)
    targets = torch.rand(batch, CLASSES, device=DEVICE).round()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4, fused=tuned or None)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=tuned):
            logits = network(images)
        functional.binary_cross_entropy_with_logits(logits.float(), targets).backward()
        optimizer.step()

    return step


def measure_steps(sizes: Sizes, seconds: float, rates: dict[str, float]) -> list[dict[str, Any]]:
    """Training steps: a script of one's own, cxrlt, and cxrlt compiled."""
    rows = []
    for encoder, size, batch, compiled in sizes.steps:
        contenders = {
            "plain fp32 (torch's defaults)": lambda: _plain(encoder, size, batch, False, seconds),  # noqa: B023
            "plain bf16, channels-last, fused": lambda: _plain(encoder, size, batch, True, seconds),  # noqa: B023
            "cxrlt, bf16": lambda: _ours(encoder, size, batch, False, seconds),  # noqa: B023
        }
        if compiled:
            contenders["cxrlt, bf16, --compile"] = lambda: _ours(encoder, size, batch, True, seconds)  # noqa: B023
        first = operations = 0.0
        for name, run in contenders.items():
            found = attempt(run)
            if "seconds" in found:
                images_per_s = batch / found["seconds"]
                first = first or images_per_s
                operations = found.get("operations", operations)  # compiled, the network has the same ones
                share = operations / found["seconds"] / rates["bf16"] if operations else None
                found |= {"images_per_s": images_per_s, "of_plain_fp32": images_per_s / first, "of_bf16_products": share}
            rows.append({"encoder": encoder, "px": size, "batch": batch, "contender": name, **found})
            print(rows[-1], flush=True)
    return rows


def _plain(encoder: str, size: int, batch: int, tuned: bool, seconds: float) -> dict[str, float]:
    """Measures `plain_step` with the algorithms that torch chooses by default; cxrlt asks for deterministic ones."""
    own = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = False
    try:
        took, memory = timed(plain_step(encoder, size, batch, tuned), seconds)
    finally:
        torch.backends.cudnn.deterministic = own
    return {"seconds": took, "memory_GB": memory}


def _ours(encoder: str, size: int, batch: int, compiled: bool, seconds: float) -> dict[str, float]:
    config = TrainConfig(
        encoder=encoder,
        batch_size=batch,
        precision=LOW,
        layout="channels-last",
        queries="none",
        compile=compiled,
        weights="none",
    )
    if compiled:
        torch.compiler.reset()  # else it is compiled for any size, as code that was already compiled for another one
    begin = time.perf_counter()
    with parts_of(config, size) as parts:
        parts.step()
        prepared = time.perf_counter() - begin
        took, memory = timed(parts.step, seconds)
        found = {"seconds": took, "memory_GB": memory, "prepared_s": prepared}
        return found if compiled else found | {"operations": operations_of(parts.forward_and_backward)}


def attempt(run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a run measures, or why it failed (as when the memory is full); the next ones go on."""
    try:
        return run()
    except Exception as error:  # noqa: BLE001 - a table with a hole is better than none
        return {"failed": f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"}
    finally:
        gc.collect()
        if GPU:
            torch.cuda.empty_cache()


def measure_decoder(sizes: Sizes, seconds: float) -> list[dict[str, Any]]:
    """A step with each head, relative to the linear one."""
    encoder, size, batch = sizes.small
    heads = {
        "linear (--queries none)": TrainConfig(queries="none"),
        "label queries, 1 layer (the default)": TrainConfig(),
        "label queries, 2 layers": TrainConfig(decoder_layers=2),
        "--decoder transformer, 4 layers": TrainConfig(decoder="transformer"),
    }
    if not GPU:
        heads = dict(list(heads.items())[:2])
    rows: list[dict[str, Any]] = []
    for precision in dict.fromkeys(("fp32", LOW)):
        first = 0.0
        for name, config in heads.items():
            chosen = replace(
                config, encoder=encoder, batch_size=batch, precision=precision, layout="channels-last", weights="none"
            )
            with parts_of(chosen, size) as parts:
                took, memory = timed(parts.step, seconds)
            first = first or took
            rows.append(
                {"head": name, "precision": precision, "ms": 1000 * took, "of_linear": took / first, "memory_GB": memory}
            )
            print(rows[-1], flush=True)
    return rows


def measure_feeding(sizes: Sizes, seconds: float) -> list[dict[str, Any]]:
    """Epochs of the real loop, images read from HDF5 and augmented: images/s, and the share of time without a batch."""
    rows = []
    for encoder, size, batch in sizes.fed:
        config = TrainConfig(
            encoder=encoder, batch_size=batch, precision=LOW, layout="channels-last", weights="none", epochs=1000
        )
        with parts_of(config, size, 64 * batch if GPU else batch) as parts:
            took, _ = timed(parts.step, seconds)
            found = epochs(parts, seconds=4 * seconds)
        rows.append({"encoder": encoder, "px": size, "batch": batch, "step_images_per_s": batch / took, **found})
        rows[-1]["of_step"] = found["images_per_s"] / rows[-1]["step_images_per_s"]
        print(rows[-1], flush=True)
    return rows


def epochs(parts: Parts, seconds: float) -> dict[str, float]:
    """Trains whole epochs for about so many seconds after a first one; mean speed and waiting share."""
    facts: list[dict[str, float]] = []
    end = time.monotonic() + seconds

    def finished() -> bool:
        parts.state.history.append({})
        facts.append(parts.training.run_log.throughput.facts(DEVICE))
        return len(facts) < 2 or time.monotonic() < end

    train_epochs(parts.training, parts.state, StopRequest(), finished)
    kept = facts[1:] or facts
    return {name: sum(fact[name] for fact in kept) / len(kept) for name in ("images_per_s", "waiting", "memory_GB")}


def measure_scoring(sizes: Sizes, seconds: float) -> list[dict[str, Any]]:
    """Scores with 1 and 8 views, images/s."""
    encoder, size, batch = sizes.small
    rows: list[dict[str, Any]] = []
    config = TrainConfig(encoder=encoder, batch_size=batch, layout="channels-last", precision=LOW, weights="none")
    with parts_of(config, size) as parts:
        for precision in (torch.float32, torch.bfloat16) if GPU else (torch.float32,):
            for compiled in (False, True) if GPU else (False,):
                for views in (1, 8):
                    took, memory = timed(parts.prediction(precision, views, compiled), seconds)
                    named = {"precision": str(precision).removeprefix("torch."), "compiled": compiled, "views": views}
                    rows.append(named | {"images_per_s": batch / took, "memory_GB": memory})
                    print(rows[-1], flush=True)
    return rows


def measure_memory(sizes: Sizes) -> dict[str, Any]:
    """`--accumulate 0`: the micro-batches found for a batch that does not fit."""
    encoder, size, _ = sizes.small
    config = TrainConfig(encoder=encoder, batch_size=4, precision=LOW, layout="channels-last", weights="none")
    with parts_of(config, size) as parts:
        begin = time.perf_counter()
        found = fitting_parts(
            sizes.huge, training_pass(parts.state.network, (1, size, size), DEVICE, parts.training.precision), 2
        )
        return {"batch": sizes.huge, "px": size, "micro_batches": found, "seconds": time.perf_counter() - begin}


def measure_determinism(sizes: Sizes) -> list[dict[str, Any]]:
    """Two trainings of the same seed, with each encoder in fp32 and bf16: are their weights bit-equal?

    And how often does a step wait for the GPU?
    """
    _, size, batch = sizes.small
    encoders = dict.fromkeys(encoder for encoder, *_ in sizes.steps)
    return [_determinism(encoder, size, batch, precision) for encoder in encoders for precision in dict.fromkeys(("fp32", LOW))]


def _determinism(encoder: str, size: int, batch: int, precision: str) -> dict[str, Any]:
    config = TrainConfig(
        encoder=encoder, batch_size=batch, precision=precision, layout="channels-last", weights="none", epochs=2, mixup=0.2,
        blur=0.3, noise=0.3, erasing=0.3, average="ema",
    )  # fmt: skip
    weights = []
    for _ in range(2):
        with parts_of(config, size) as parts:
            train_epochs(
                parts.training, parts.state, StopRequest(), lambda parts=parts: bool(parts.state.history.append({}) or True)
            )
            weights.append({name: value.detach().cpu() for name, value in parts.state.network.state_dict().items()})
    different = [name for name, value in weights[0].items() if not torch.equal(value, weights[1][name])]
    return {
        "encoder": encoder,
        "precision": precision,
        "bit_equal": not different,
        "tensors": len(weights[0]),
        "different": len(different),
        "waits_per_step": waits(config, size),
    }


def waits(config: TrainConfig, size: int) -> float | None:
    """Host synchronisations a step, as torch's debug mode counts them."""
    if not GPU:
        return None
    with parts_of(replace(config, epochs=1), size) as parts, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        parts.step()
        torch.cuda.set_sync_debug_mode("warn")
        train_epochs(parts.training, parts.state, StopRequest(), lambda: False)
        torch.cuda.set_sync_debug_mode("default")
        steps = parts.training.steps_an_epoch
    counted = [caution for caution in caught if "synchronizing" in str(caution.message)]
    for caution in counted[:3]:
        print("waits:", caution.filename, caution.lineno)
    return len(counted) / steps


def markdown(found: dict[str, Any]) -> str:
    """The tables."""
    rates = {name: f"{rate / 1e12:.3g}" for name, rate in found["rates"].items()}
    products = f"Matrix products: {rates['bf16']} Tflop/s in bf16, {rates['fp32']} in fp32"
    lines = [f"{found['device']}, torch {torch.__version__}. {products}; copying memory: {rates['memory']} TB/s.", ""]
    for part, content in found.items():
        rows = [content] if part == "memory" else content
        if not isinstance(rows, list) or not rows:
            continue
        columns = list(dict.fromkeys(name for row in rows for name in row if name not in ("operations", "seconds")))
        lines += [f"### {part}", "", f"| {' | '.join(columns)} |", f"| {' | '.join('---' for _ in columns)} |"]
        lines += [f"| {' | '.join(_cell(row.get(name, '')) for name in columns)} |" for row in rows] + [""]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def main() -> None:
    parser: Any = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=Path())
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--steps", nargs="*", default=[])
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--seconds", type=float, default=1.0)
    given = parser.parse_args()
    if not GPU and not given.tiny:
        raise SystemExit("torch finds no GPU; --tiny runs every line on a CPU")
    sizes = TINY if given.tiny else Sizes()
    if given.steps:
        named = [step.rsplit(":", 2) for step in given.steps]
        sizes = replace(sizes, steps=tuple((encoder, int(size), int(batch), True) for encoder, size, batch in named))
        given.only = ["steps"]
    rates = {
        "fp32": matmul_speed(DEVICE, torch.float32, given.seconds),
        "bf16": matmul_speed(DEVICE, torch.bfloat16 if GPU else torch.float32, given.seconds),
    }
    rates["memory"] = copy_speed(DEVICE, given.seconds)
    found: dict[str, Any] = {"device": device_name(DEVICE), "rates": rates}
    work = {
        "decoder": lambda: measure_decoder(sizes, given.seconds),
        "feeding": lambda: measure_feeding(sizes, given.seconds),
        "scoring": lambda: measure_scoring(sizes, given.seconds),
        "memory": lambda: measure_memory(sizes),
        "determinism": lambda: measure_determinism(sizes),
        "steps": lambda: measure_steps(sizes, given.seconds, rates),
    }
    for name, run in work.items():
        if not given.only or name in given.only:
            begin = time.perf_counter()
            found[name] = attempt(run)  # type: ignore[arg-type]
            print(f"{name}: {time.perf_counter() - begin:.0f} s", flush=True)
            given.output.mkdir(parents=True, exist_ok=True)
            (given.output / "gpu.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
            (given.output / "gpu.md").write_text(markdown(found), encoding="utf-8")


if __name__ == "__main__":
    main()
