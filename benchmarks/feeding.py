"""Feeding a training loop with augmented batches, side by side with what a user would otherwise do, in turn in one run.

python benchmarks/feeding.py [ROUNDS]

All give normalised float batches of 64, randomly flipped, rotated, zoomed, shifted, and changed in contrast and brightness. The
usual loaders have two worker processes, cxrlt two threads. Beside images/s stands the processor time of all processes an
image, which other work on the machine touches less. Contenders that are not installed are left out: timm is no dependency.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import h5py
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from cxrlt_cli.artifacts.image_pixels import ImageReader
from cxrlt_cli.bench.synthetic import made_up_dataset
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.data.batches import batches, epoch_draws
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.machine import keep_memory
from cxrlt_cli.train.batch_pipeline import make_pipeline
from cxrlt_cli.train.loss import Counts
from cxrlt_cli.train.train import settings_of

SIZE, COUNT, BATCH = 224, 2048, 64
Read = Callable[[int], Image.Image]


def transforms(channels: int) -> Any:
    """torchvision's, one by one, with the amounts of cxrlt's."""
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomAffine(10, (0.06, 0.06), (0.9, 1.1), interpolation=v2.InterpolationMode.BILINEAR),
            v2.ColorJitter(brightness=0.1, contrast=0.2),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.449] * channels, [0.226] * channels),
        ]
    )


class Usual(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """`__getitem__` reads one picture and transforms it."""

    def __init__(self, read: Read, channels: int = 3) -> None:
        self.read, self.transform = read, transforms(channels)

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.transform(self.read(row)), torch.zeros(26)


def from_cache(path: Path, channels: str) -> Read:
    """A PIL image of a row of cxrlt's own image file."""
    reader = ImageReader(path)
    return lambda row: Image.fromarray(reader.read(np.array([row]))[0]).convert(channels)


def from_gzip(folder: Path, images: np.ndarray) -> Read:
    """A PIL image of a row of an HDF5 file as is usual: gzip, chunks of h5py's own choice, opened by each worker."""
    with h5py.File(folder / "gzip.h5", "w") as file:
        file.create_dataset("images", data=images, compression="gzip", chunks=True)
    opened: dict[int, Any] = {}

    def read(row: int) -> Image.Image:
        if os.getpid() not in opened:
            opened[os.getpid()] = h5py.File(folder / "gzip.h5", "r")["images"]
        return Image.fromarray(opened[os.getpid()][row]).convert("RGB")

    return read


def from_files(folder: Path) -> Read:
    """JPEG files of CheXpert-small's size, decoded and resized each time."""
    for row in range(COUNT):
        noise = np.random.default_rng(row).integers(0, 256, (40, 49), dtype=np.uint8)
        (folder / f"jpeg/{row % 2}").mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(noise).resize((390, 320), Image.Resampling.BICUBIC)
        picture.save(folder / f"jpeg/{row % 2}/{row:06}.jpg", quality=90)

    def read(row: int) -> Image.Image:
        with Image.open(folder / f"jpeg/{row % 2}/{row:06}.jpg") as image:
            return image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)

    return read


def loader(read: Read, channels: int = 3) -> Callable[[], Iterable[Any]]:
    data = DataLoader(Usual(read, channels), BATCH, shuffle=True, num_workers=2, drop_last=True, persistent_workers=False)
    return lambda: data


def timm_loader(folder: Path) -> Callable[[], Iterable[Any]] | None:
    """timm's loader over the JPEG files, with its crop, flip and colour jitter."""
    try:
        from timm.data import ImageDataset, create_loader
    except ImportError:
        return None
    options = {"batch_size": BATCH, "is_training": True, "num_workers": 2, "use_prefetcher": False, "persistent_workers": False}
    made = create_loader(ImageDataset(str(folder / "jpeg")), (3, SIZE, SIZE), scale=(0.8, 1.0), color_jitter=0.2, **options)
    return lambda: made


def cxrlt(folder: Path, augmented: bool) -> Callable[[], Iterable[Any]]:
    dataset = made_up_dataset(folder, COUNT, SIZE, 26)
    images = DatasetImages(dataset)
    settings = settings_of(TrainConfig(augment="standard" if augmented else "none"))
    ones = torch.ones(26)
    pipeline = make_pipeline(settings.mix, settings.augment, settings.loss, Counts(ones, ones), torch.device("cpu"))
    return lambda: batches(dataset, images, epoch_draws(COUNT, BATCH, 0, 0), lambda batch: pipeline.ahead(0, batch))


def used() -> float:
    """Seconds of processor time of this process and its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measure(contenders: dict[str, Callable[[], Iterable[Any]]], rounds: int) -> None:
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, feed in contenders.items():
            before, begin = used(), time.perf_counter()
            count = sum(BATCH for _ in feed())
            rates[name].append(count / (time.perf_counter() - begin))
            spent[name].append(1000 * (used() - before) / count)
    first = next(iter(contenders))
    print("| contender | images/s | of the first | processor ms an image | of the first |\n| --- | --- | --- | --- | --- |")
    for name in contenders:
        faster = median(own / usual for own, usual in zip(rates[name], rates[first], strict=True))
        less = median(usual / own for own, usual in zip(spent[name], spent[first], strict=True))
        print(f"| {name} | {median(rates[name]):.0f} | {faster:.1f}x | {median(spent[name]):.2f} | {less:.1f}x |")


def main() -> None:
    keep_memory()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, plain = cxrlt(folder, True), cxrlt(folder, False)
        images = ImageReader(folder / "images.h5").read(np.arange(COUNT))
        jpegs = from_files(folder)
        contenders = {
            "PIL RGB image of a cached row, torchvision v2 each, two workers": loader(from_cache(folder / "images.h5", "RGB")),
            "the same in gray": loader(from_cache(folder / "images.h5", "L"), 1),
            "the same from HDF5 with gzip": loader(from_gzip(folder, images)),
            "JPEG of 390 x 320 px decoded by PIL each time": loader(jpegs),
            "timm's loader on these JPEGs": timm_loader(folder),
            "cxrlt": ours,
            "cxrlt, not augmented": plain,
        }
        measure({name: feed for name, feed in contenders.items() if feed}, int(sys.argv[1]) if len(sys.argv) > 1 else 3)


if __name__ == "__main__":
    main()
