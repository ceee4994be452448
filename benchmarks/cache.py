"""Decoding, caching and reading back, side by side with what a user would otherwise do, in one run on the same files.

python benchmarks/cache.py RADIOGRAPHS [decode] [command] [memory] [read]
python benchmarks/cache.py FOLDER differences

FOLDER has PNGs and JPEGs of any kind, RADIOGRAPHS gray PNGs of about 1024 px (ChestX-ray14's). From twelve of them JPEGs of the
size and weight of MIMIC-CXR-JPG's (2544 x 3056 px, quality 95, grainy) and of CheXpert-small's (390 x 320 px) are made.
Contenders that are not installed are left out: torchxrayvision is no dependency.
"""

import csv
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import h5py
import numpy as np
import simplejpeg
from command_cost import command_cost
from PIL import Image

from cxrlt_cli.artifacts.image_file import create_images
from cxrlt_cli.artifacts.image_pixels import ImageReader
from cxrlt_cli.artifacts.row_access import RowWriter
from cxrlt_cli.preprocess.settings import PixelSettings, read_square

Decode = Callable[[Path, int], object]
ROUNDS = 5


def make_files(radiographs: Path, folder: Path) -> dict[str, list[Path]]:
    """The three sets of files."""
    plain = []
    for path in sorted(radiographs.glob("*.png")):
        with Image.open(path) as image:
            if image.mode == "L":
                plain.append(path)
    draws = np.random.default_rng(0)
    made: dict[str, list[Path]] = {"JPEG 2544 x 3056": [], "JPEG 390 x 320": [], "PNG 1024 x 1024": plain[:20]}
    for number, path in enumerate(plain[:12]):
        with Image.open(path) as image:
            large = np.asarray(image.resize((2544, 3056), Image.Resampling.BICUBIC)).astype(np.float32)
            small = image.resize((390, 320), Image.Resampling.LANCZOS)
        grainy = (large + draws.normal(0, 1.5, large.shape)).clip(0, 255).astype(np.uint8)
        for name, picture, quality in (("JPEG 2544 x 3056", Image.fromarray(grainy), 95), ("JPEG 390 x 320", small, 90)):
            made[name].append(folder / f"{number}-{picture.width}.jpg")
            picture.save(made[name][-1], quality=quality)
    return made


def pillow(path: Path, size: int, resample: Image.Resampling = Image.Resampling.LANCZOS) -> np.ndarray:
    """Full decode by Pillow, resized by one of its antialiased filters, padded."""
    with Image.open(path) as image:
        gray = image.convert("L")
    scale = size / max(gray.size)
    small = gray.resize((round(gray.width * scale), round(gray.height * scale)), resample)
    square = Image.new("L", (size, size))
    square.paste(small, ((size - small.width) // 2, (size - small.height) // 2))
    return np.asarray(square)


def cxrlt(path: Path, size: int) -> np.ndarray:
    return read_square(path, PixelSettings(size))


def opencv(path: Path, size: int) -> object:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    scale = size / max(picture.shape)
    shape = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    return cv2.resize(picture, shape, interpolation=cv2.INTER_AREA)


def entropy_decoding(path: Path, size: int) -> object:  # noqa: ARG001 - a Decode
    """The floor of any JPEG decoder: one pixel a block."""
    return simplejpeg.decode_jpeg(path.read_bytes(), "GRAY", min_height=1, min_width=1, min_factor=1)


def torchxrayvision() -> Decode | None:
    try:
        import torchxrayvision as xrv
    except ImportError:
        return None

    def read(path: Path, size: int) -> object:
        return xrv.datasets.XRayResizer(size)(xrv.datasets.XRayCenterCrop()(xrv.utils.load_image(str(path))))

    return read


def decode(files: dict[str, list[Path]]) -> None:
    cv2.setNumThreads(1)
    print("| files, to px | contender | ms an image | of Pillow | of entropy decoding | mean gray difference to Pillow |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, size in (*((name, size) for name in files for size in (224, 512) if "390" not in name), ("JPEG 390 x 320", 224)):
        contenders: dict[str, Decode | None] = {"Pillow, full decode, Lanczos": pillow, "cxrlt": cxrlt, "OpenCV, area": opencv}
        contenders["torchxrayvision"] = torchxrayvision()
        if "JPEG" in name:
            contenders["entropy decoding alone"] = entropy_decoding
        there = {label: read for label, read in contenders.items() if read}
        times: dict[str, list[float]] = {label: [] for label in there}
        for _ in range(ROUNDS):
            for label, read in there.items():
                some = files[name][:4] if label == "torchxrayvision" else files[name]
                began = time.perf_counter()
                for path in some:
                    read(path, size)
                times[label].append((time.perf_counter() - began) / len(some) * 1e3)
        found = {label: median(values) for label, values in times.items()}
        errors = [np.abs(pillow(path, size).astype(int) - cxrlt(path, size)).mean() for path in files[name]]
        for label, ms in found.items():
            floor = f"{ms / found['entropy decoding alone']:.2f}" if "JPEG" in name else ""
            error = f"{np.mean(errors):.2f}, at most {max(errors):.2f}" if label == "cxrlt" else ""
            ratio = found["Pillow, full decode, Lanczos"] / ms
            print(f"| {name}, {size} | {label} | {ms:.2f} | {ratio:.2f}x | {floor} | {error} |", flush=True)


def differences(folder: Path) -> None:
    """Mean absolute differences of real files, in gray levels of 255; the references' own difference beside them."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    print(f"| px, {len(paths)} files | mean | largest | above 1 |\n| --- | --- | --- | --- |")
    for size in (224, 512):
        made = [
            [cxrlt(path, size).astype(int), pillow(path, size), pillow(path, size, Image.Resampling.BILINEAR)] for path in paths
        ]
        for name, one, other in (("cxrlt to Lanczos", 0, 1), ("cxrlt to bilinear", 0, 2), ("bilinear to Lanczos", 2, 1)):
            found = np.array([np.abs(squares[one].astype(int) - squares[other]).mean() for squares in made])
            print(f"| {size}, {name} | {found.mean():.2f} | {found.max():.2f} | {int((found > 1).sum())} |", flush=True)


def _source(files: list[Path], folder: Path, count: int) -> Path:
    """A table source of `count` images: hard links to a few files."""
    (folder / "pictures").mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "path", "patient_id", "Edema"])
        for number in range(count):
            target = folder / f"pictures/{number:06}{files[0].suffix}"
            os.link(files[number % len(files)], target)
            writer.writerow([f"i{number}", f"pictures/{target.name}", f"p{number}", number % 2])
    return folder / "labels.csv"


def _cache(table: Path, workspace: Path, size: int, *more: str) -> tuple[float, int]:
    """Seconds and peak resident bytes of the largest process of one `cxrlt cache`."""
    command = [sys.executable, "-m", "cxrlt_cli", "cache", "--source", f"table={table}", "--label-columns", "Edema"]
    whole = [*command, "--size", str(size), "--workspace", str(workspace), "--overwrite", *more]
    cost = command_cost(whole, table.parent)
    return cost.wall, cost.memory


def _decode_all(paths: list[Path]) -> int:
    cv2.setNumThreads(1)
    return sum(read_square(path, PixelSettings(224)).size for path in paths)


def command(files: dict[str, list[Path]], folder: Path, count: int = 3000) -> None:
    """The whole command against its decoding workers alone, and two workers against one."""
    table = _source(files["JPEG 2544 x 3056"], folder / "large", count)
    paths = sorted((folder / "large/pictures").iterdir())
    with get_context("spawn").Pool(2) as pool:
        pool.map(_decode_all, [paths[:2]] * 2)  # imports done
        alone = []
        for _ in range(2):
            began = time.perf_counter()
            pool.map(_decode_all, [paths[start : start + 16] for start in range(0, count, 16)], chunksize=1)
            alone.append(count / (time.perf_counter() - began))
    two, one = (count / _cache(table, folder / "workspace", 224, "--workers", str(workers))[0] for workers in (2, 1))
    print(f"\n{count} JPEGs of 2544 x 3056 px to 224 px, images/s, start-up of the command included")
    print(f"two decoding workers alone {max(alone):.1f}; cxrlt cache with two workers {two:.1f} ({two / max(alone):.0%})")
    print(f"with one worker {one:.1f}: two give {two / one:.2f} times", flush=True)


def memory(files: dict[str, list[Path]], folder: Path) -> None:
    print("\npeak resident memory of the largest process of `cxrlt cache` to 224 px")
    for count in (2000, 20_000):
        table = _source(files["JPEG 390 x 320"], folder / str(count), count)
        seconds, peak = _cache(table, folder / "workspace", 224)
        print(f"{count} images: {peak / 2**20:.0f} MiB ({count / seconds:.0f} images/s)", flush=True)


def read(folder: Path) -> None:
    """Batches of 64 in random order from a warm page cache, one process."""
    print("\n| px | cxrlt, batches of 64 | one by one | in order | h5py, one by one | h5py, fancy index of 64 |")
    print("| --- | --- | --- | --- | --- | --- |")
    draws = np.random.default_rng(0)
    for size, count in ((224, 20_000), (512, 4000)):
        path = folder / f"{size}.h5"
        settings = PixelSettings(size).saved()
        writer = RowWriter(create_images(path, [f"i{number}" for number in range(count)], size, settings, {}))
        for row in range(count):
            writer.write(row, draws.integers(0, 255, (size, size), dtype=np.uint8), np.zeros(5, np.uint64))
        writer.mark_done(list(range(count)))
        writer.close()
        reader, order = ImageReader(path), draws.permutation(count)
        rates = [
            _rate(count, reader.read, np.split(order, range(64, count, 64))),
            _rate(count, reader.read, np.split(order, count)),
            _rate(count, reader.read, np.split(np.arange(count), range(64, count, 64))),
        ]
        with h5py.File(path, locking=False) as file:
            images = file["images"]
            rates.append(_rate(count, images.__getitem__, [int(row) for row in order]))
            rates.append(_rate(2048, lambda rows, images=images: images[np.sort(rows)], np.split(order[:2048], 32)))
        print(f"| {size} | " + " | ".join(f"{rate:,.0f}/s" for rate in rates) + " |", flush=True)


def _rate(count: int, way: Callable[[Any], object], calls: Sequence[Any]) -> float:
    """Images/s of `count` images read by some calls, whose results are thrown away; the median of five rounds."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        for rows in calls:
            way(rows)
        times.append(time.perf_counter() - began)
    return count / median(times)


def main() -> None:
    parts = sys.argv[2:] or ["decode", "command", "memory", "read"]
    if parts == ["differences"]:
        differences(Path(sys.argv[1]))
        parts = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = make_files(Path(sys.argv[1]), folder) if set(parts) & {"decode", "command", "memory"} else {}
        if "decode" in parts:
            decode(files)
        if "command" in parts:
            command(files, folder)
        if "memory" in parts:
            memory(files, folder / "memory")
        if "read" in parts:
            read(folder)


if __name__ == "__main__":
    main()
