"""What eight views of an image cost, in forward passes of one view: views resampled by `grid_sample`, and as cxrlt does it.

python benchmarks/views.py [--encoders resnet50,mobilenet_v3_small] [--rounds 5] [--images 8] [--threads 1]

224 px, random weights, batch norms folded. They take turns; a ratio is the median over rounds, by wall and processor time.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from cxrlt_cli.compute.fold_batch_norms import fold_batch_norms
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.data.augment import normalise, to_unit
from cxrlt_cli.machine import keep_memory
from cxrlt_cli.options import select
from cxrlt_cli.predict.tta import VIEWS, View, look, normalised_views
from cxrlt_cli.train.build import make_network
from cxrlt_cli.train.settings import NetworkSettings

SIZE, CLASSES, EIGHT = 224, 26, VIEWS[:8]
Looks = Callable[[Tensor, tuple[View, ...]], Tensor]


def one_by_one(images: Tensor, views: tuple[View, ...]) -> Tensor:
    return normalise(torch.cat([look(images, view) for view in views]))


def measure(network: torch.nn.Module, pixels: Tensor, views: tuple[View, ...], looks: Looks) -> np.ndarray:
    """Wall and processor seconds of all views of one image."""
    wall, processor = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        for part in pixels.split(max(1, len(pixels) // len(views))):  # passes of equally many pictures
            network(looks(to_unit(part), views))
    return np.array([time.perf_counter() - wall, time.process_time() - processor])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--encoders", default="resnet50,mobilenet_v3_small")
    for name, default in (("--rounds", 5), ("--images", 8), ("--threads", 1)):
        parser.add_argument(name, type=int, default=default)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_memory()
    pixels = torch.randint(0, 256, (given.images, SIZE, SIZE), dtype=torch.uint8)
    print("| encoder | ms a forward pass | views by grid_sample, wall | processor | cxrlt, wall | processor |")
    print("| --- | --- | --- | --- | --- | --- |")
    for encoder in given.encoders.split(","):
        settings = select(NetworkSettings, TrainConfig(encoder=encoder, queries="none"))
        network = make_network(settings, np.zeros((CLASSES, 8), dtype=np.float32))[0].eval()
        fold_batch_norms(network.encoder)
        network.place(torch.device("cpu"), SIZE)
        found = []
        for _ in range(given.rounds + 1):
            one = measure(network, pixels, EIGHT[:1], normalised_views)
            found.append([one, *(measure(network, pixels, EIGHT, looks) / one for looks in (one_by_one, normalised_views))])
        once, before, now = (np.median(np.array(column[1:]), axis=0) for column in zip(*found, strict=True))
        cells = [f"{1000 * once[1] / given.images:.1f}", *(f"{ratio:.2f}" for ratio in (*before, *now))]
        print(f"| {encoder} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
