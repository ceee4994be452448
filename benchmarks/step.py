"""A training step, side by side with what a user would otherwise write, in turn, and what the decoder and classifiers cost.

python benchmarks/step.py [speed] [decoder] [--encoder NAME] [--rounds N] [--threads N]

Each contender is a process of its own, because an allocator cannot be changed back; they take turns, round by round. Beside
images/s of the wall clock stand images a second of processor time: with one thread, that is what other work on the machine
touches least.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn import functional

from cxrlt_cli.bench.roofline import operations_of
from cxrlt_cli.compute.autotune import LAYOUTS
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.machine import keep_memory
from cxrlt_cli.train.build import make_network, make_optimizer
from cxrlt_cli.train.train import settings_of

SIZE, BATCH, CLASSES = 224, 16, 26
CPU = torch.device("cpu")

SPEED = {
    "eager fp32, three channels": ["three"],
    "the same, glibc keeps memory": ["three", "keep"],
    "cxrlt, fp32: one-channel stem, channels-last, fused AdamW too": ["one", "keep", "last", "fused"],
    "cxrlt, bf16": ["one", "keep", "last", "fused", "bf16"],
}
DECODER = {
    "linear head (--queries none)": TrainConfig(queries="none"),
    "label queries (the default)": TrainConfig(),
    "label queries, shared classifier": TrainConfig(classifier="shared"),
    "label queries, 2 layers": TrainConfig(decoder_layers=2),
    "transformer, 4 layers": TrainConfig(decoder="transformer"),
    "transformer, 1 layer": TrainConfig(decoder="transformer", decoder_layers=1),
}


def plain_step(encoder: str, marks: list[str]) -> tuple[Callable[[], None], nn.Module]:
    """A step as in a script of one's own; the pieces of cxrlt come in by their names."""
    torch.manual_seed(0)
    channels = 3 if "three" in marks else 1
    if channels == 3:
        network: nn.Module = getattr(torchvision.models, encoder)(num_classes=CLASSES)
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(network.parameters(), 1e-4)
    else:
        settings = settings_of(TrainConfig(encoder=encoder, queries="none"))
        ours, _ = make_network(settings.network, np.zeros((CLASSES, 8), dtype=np.float32))
        ours.place(CPU, SIZE, LAYOUTS["channels-last" if "last" in marks else "plain"])
        network, optimizer = ours, torch.optim.AdamW(ours.parameters(), 1e-4, fused="fused" in marks or None)
    images, targets = torch.randn(BATCH, channels, SIZE, SIZE), torch.rand(BATCH, CLASSES).round()
    if "last" in marks:
        network, images = network.to(memory_format=torch.channels_last), images.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled="bf16" in marks):
            logits = network.train()(images)
        functional.binary_cross_entropy_with_logits(logits.float(), targets).backward()
        optimizer.step()

    return step, network


def decoder_step(config: TrainConfig, encoder: str, precision: str) -> Callable[[], None]:
    """A step of cxrlt's network with the decoder and classifiers of some options."""
    settings = settings_of(replace(config, encoder=encoder))
    network, _ = make_network(settings.network, np.random.default_rng(0).standard_normal((CLASSES, 768), np.float32))
    network.place(CPU, SIZE).train()
    optimizer = make_optimizer(settings.optimizer, network)
    images, targets = torch.randn(BATCH, 1, SIZE, SIZE), torch.rand(BATCH, CLASSES).round()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = network(images)
        functional.binary_cross_entropy_with_logits(logits.float(), targets).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()

    return step


def seconds_of(step: Callable[[], None]) -> tuple[float, float]:
    """Wall and processor seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - wall, time.process_time() - cpu


def serve(encoder: str, marks: list[str], threads: int) -> None:
    """A contender's process: a step for each line that arrives, its seconds in answer."""
    torch.set_num_threads(threads)
    if "keep" in marks:
        keep_memory()
    step, _ = plain_step(encoder, marks)
    step()
    for _ in sys.stdin:
        print(json.dumps(seconds_of(step)), flush=True)


def speed(encoder: str, rounds: int, threads: int) -> None:
    command = [sys.executable, __file__, "serve", encoder, "--threads", str(threads), "--marks"]
    servers = {
        name: subprocess.Popen([*command, ",".join(marks)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name, marks in SPEED.items()
    }
    times: dict[str, list[list[float]]] = {name: [] for name in servers}
    products: dict[str, list[float]] = {"fp32": [], "bf16": []}
    torch.set_num_threads(threads)
    matrices = {"fp32": torch.randn(1536, 1536), "bf16": torch.randn(1536, 1536).bfloat16()}
    for _ in range(rounds):
        for name, server in servers.items():
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write("\n")
            server.stdin.flush()
            times[name].append(json.loads(server.stdout.readline()))
        for precision, matrix in matrices.items():
            products[precision] += [2 * 1536**3 / seconds_of(lambda m=matrix: torch.mm(m, m))[1] for _ in range(10)]
    for server in servers.values():
        server.communicate()
    step, _ = plain_step(encoder, ["one"])
    operations = operations_of(step)
    peaks = {name: median(rates) for name, rates in products.items()}
    said = ", ".join(f"{peak / 1e9:.0f} in {name}" for name, peak in peaks.items())
    print(f"\n{encoder}, {SIZE} px, batch {BATCH}, {threads} thread(s); Gflop/s of matrix products a processor second: {said}")
    table(times, {name: operations / peaks["bf16" if "bf16" in marks else "fp32"] for name, marks in SPEED.items()})


def table(times: dict[str, list[list[float]]], floors: dict[str, float]) -> None:
    """Prints a row a contender; `floors` are the processor seconds that matrix products of its precision alone would take."""
    first = np.array(next(iter(times.values())))
    print("| contender | images/s | a processor second | of the first, wall | of the first, processor | of its products |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, own in times.items():
        seconds = np.array(own)
        wall, cpu = np.median(first / seconds, axis=0)
        rate = BATCH / np.median(seconds, axis=0)
        share = f"{floors[name] / np.median(seconds[:, 1]):.0%}"
        print(f"| {name} | {rate[0]:.1f} | {rate[1]:.1f} | {wall:.2f}x | {cpu:.2f}x | {share} |")


def decoder(encoder: str, rounds: int, threads: int, precision: str) -> None:
    torch.set_num_threads(threads)
    keep_memory()
    steps = {name: decoder_step(config, encoder, precision) for name, config in DECODER.items()}
    for step in steps.values():
        step()
    times: dict[str, list[list[float]]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(list(seconds_of(step)))
    print(f"\n{encoder}, {SIZE} px, batch {BATCH}, {CLASSES} classes, {threads} thread(s), {precision}")
    print("| head | ms a step | time of the linear head's step, wall | processor |\n| --- | --- | --- | --- |")
    first = np.array(next(iter(times.values())))
    for name, own in times.items():
        wall, cpu = np.median(np.array(own) / first, axis=0)
        print(f"| {name} | {1000 * np.median(np.array(own)[:, 0]):.0f} | {wall:.2f} | {cpu:.2f} |")


def main() -> None:
    parser: Any = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", default=["speed", "decoder"])
    parser.add_argument("--encoder", action="append")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--marks", default="")
    given = parser.parse_args()
    if given.what[0] == "serve":
        serve(given.what[1], given.marks.split(","), given.threads)
        return
    if "speed" in given.what:
        for encoder in given.encoder or ["resnet50", "densenet121"]:
            speed(encoder, given.rounds, given.threads)
    if "decoder" in given.what:
        for encoder in given.encoder or ["resnet50", "resnet18"]:
            for precision in ("fp32", "bf16"):
                decoder(encoder, given.rounds, given.threads, precision)


if __name__ == "__main__":
    main()
