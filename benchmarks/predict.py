"""Scoring, side by side with what a user would otherwise do, in turn in one process on the same images.

python benchmarks/predict.py [--encoder resnet50] [--rounds N] [--images N] [--threads N]

The usual way is a loader that reads PIL images one by one, and a plain forward pass in evaluation form without gradients, eight
times over, a view at a time. cxrlt reads once, makes all views as one batch, and has batch norms folded, channels last.
"""

import argparse
import copy
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.artifacts.image_pixels import ImageReader
from cxrlt_cli.bench.synthetic import made_up_dataset
from cxrlt_cli.compute.fold_batch_norms import fold_batch_norms
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.data.batches import batches, rows_in_order
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.machine import keep_memory
from cxrlt_cli.model.network import Network
from cxrlt_cli.predict.members import Member
from cxrlt_cli.predict.score import score
from cxrlt_cli.predict.tta import VIEWS
from cxrlt_cli.train.build import make_network
from cxrlt_cli.train.train import settings_of

SIZE, BATCH, CLASSES = 224, 16, 26
CPU = torch.device("cpu")


class Usual(torch.utils.data.Dataset[torch.Tensor]):
    """One picture at a time, in one view."""

    def __init__(self, path: Path, count: int, view: int) -> None:
        self.reader, self.count = ImageReader(path), count
        seen = VIEWS[view]
        steps: list[Any] = [v2.RandomHorizontalFlip(1.0 if seen.flip else 0.0)]
        if view > 1:
            shift = [round(seen.right * SIZE), round(seen.down * SIZE)]
            steps.append(lambda image: v2.functional.affine(image, seen.degrees, shift, seen.zoom, [0.0, 0.0]))
        steps += [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.449] * 3, [0.226] * 3)]
        self.transform = v2.Compose(steps)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row: int) -> torch.Tensor:
        image: torch.Tensor = self.transform(Image.fromarray(self.reader.read(np.array([row]))[0]).convert("RGB"))
        return image


def usual(network: nn.Module, path: Path, count: int, views: int) -> None:
    with torch.inference_mode():
        for view in range(views):
            for images in DataLoader(Usual(path, count, view), BATCH, num_workers=2):
                network(images)


def cxrlt(member: Member, dataset: Dataset, images: DatasetImages, views: int) -> None:
    for batch in batches(dataset, images, rows_in_order(len(dataset.table), BATCH)):
        score([member], VIEWS[:views], "geomean", batch.images)


def forward(network: nn.Module, images: torch.Tensor) -> None:
    with torch.inference_mode():
        network(images)


def folded(network: Network) -> Network:
    network = copy.deepcopy(network).eval()
    fold_batch_norms(network.encoder)
    return network.place(CPU, SIZE)


def measure(runs: dict[str, Callable[[], None]], rounds: int) -> dict[str, np.ndarray]:
    """(rounds, 2) wall and processor seconds of each."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for counts in range(rounds + 1):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            if counts:
                times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {name: np.array(own) for name, own in times.items()}


def main() -> None:
    parser: Any = argparse.ArgumentParser()
    parser.add_argument("--encoder", default="resnet50")
    for name, default in (("--rounds", 5), ("--images", 32), ("--threads", 1)):
        parser.add_argument(name, type=int, default=default)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_memory()
    plain = getattr(torchvision.models, given.encoder)(num_classes=CLASSES).eval()
    settings = settings_of(TrainConfig(encoder=given.encoder, queries="none"))
    ours, _ = make_network(settings.network, np.zeros((CLASSES, 8), dtype=np.float32))
    layout_only = copy.deepcopy(ours).eval().place(CPU, SIZE)
    fused = folded(ours)
    three, one = torch.randn(BATCH, 3, SIZE, SIZE), torch.randn(BATCH, 1, SIZE, SIZE)
    with tempfile.TemporaryDirectory() as name:
        dataset = made_up_dataset(Path(name), given.images, SIZE, CLASSES)
        images = DatasetImages(dataset)
        member = Member("", Path(), fused, dataset.classes, {}, np.arange(CLASSES), {})
        path = Path(name) / "images.h5"
        found = measure(
            {
                "forward, plain": lambda: forward(plain, three),
                "forward, one channel, channels-last": lambda: forward(layout_only, one),
                "forward, batch norms folded too (cxrlt)": lambda: forward(fused, one),
                "8 views, usual": lambda: usual(plain, path, given.images, 8),
                "8 views, cxrlt": lambda: cxrlt(member, dataset, images, 8),
            },
            given.rounds,
        )
    report(given, found)


def report(given: Any, found: dict[str, np.ndarray]) -> None:
    print(f"\n{given.encoder}, {SIZE} px, {given.threads} thread(s)\n")
    print("| what | images/s | of the usual, wall | of the usual, processor |\n| --- | --- | --- | --- |")
    for name, own in found.items():
        first = found["forward, plain" if name.startswith("forward") else "8 views, usual"]
        wall, cpu = np.median(first / own, axis=0)
        count = BATCH if name.startswith("forward") else given.images
        print(f"| {name} | {count / np.median(own[:, 0]):.2f} | {wall:.2f}x | {cpu:.2f}x |")
    once = found["forward, batch norms folded too (cxrlt)"] / BATCH * given.images
    wall, cpu = np.median(found["8 views, cxrlt"] / once, axis=0)
    print(f"\n8 views of an image take {wall:.2f} times the time of one folded forward pass (processor: {cpu:.2f})")


if __name__ == "__main__":
    main()
