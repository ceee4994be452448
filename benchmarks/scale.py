"""Time and memory of the stages against the number of images, each as a command in a process of its own.

python benchmarks/scale.py [--counts 2000,20000,200000] [--steps cache,merge,import,evaluate,report,epoch] [--to FILE]

Writes FILE.json and FILE.md (default: scale). `cache` decodes hard links to 64 small JPEGs; the other steps have made-up caches
of 64 px, labels of 14 classes and scores. `import`, `evaluate` (1,000 resamples) and `report` have all images in one split,
two a patient. `epoch` reads all images once in random order through the loader, in batches of 64, without a network.
"""

import argparse
import csv
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import simplejpeg
from command_cost import command_cost

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.image_file import create_images
from cxrlt_cli.artifacts.row_access import RowWriter
from cxrlt_cli.artifacts.source_table import COLUMNS, SourceHeader, SourceTable, write_source_table
from cxrlt_cli.data.batches import batches, epoch_draws
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.preprocess.settings import PixelSettings

SIZE, FILES = 64, 64
CLASSES = [f"finding {number}" for number in range(14)]
SHARES = 0.2 * 0.75 ** np.arange(len(CLASSES))


def ids_of(count: int) -> list[str]:
    return [f"i{number:06}" for number in range(count)]


def targets_of(count: int) -> np.ndarray:
    """(count, 14) labels, at least two positives of each."""
    targets = (np.random.default_rng(1).random((count, len(CLASSES))) < SHARES).astype(np.int8)
    targets[:3] = 1
    return targets


def write_pictures(folder: Path, count: int) -> list[str]:
    """A table source of hard links, a thousand a folder; the command that caches it."""
    draws = np.random.default_rng(0)
    (folder / "files").mkdir(parents=True)
    (folder.parent / "cached").mkdir()
    for number in range(FILES):
        gray = draws.integers(0, 256, (8, 8, 1), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        (folder / f"files/{number}.jpg").write_bytes(simplejpeg.encode_jpeg(gray, quality=90, colorspace="GRAY"))
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image_id", "path", "patient_id", *CLASSES])
        for number, (name, labels) in enumerate(zip(ids_of(count), targets_of(count).tolist(), strict=True)):
            path = folder / f"{number // 1000}/{name}.jpg"
            path.parent.mkdir(exist_ok=True)
            os.link(folder / f"files/{number % FILES}.jpg", path)
            rows.writerow([name, path.relative_to(folder), f"p{number // 2}", *labels])
    return ["cache", "--source", f"table={folder}/labels.csv", "--label-columns", ",".join(CLASSES), "--size", "32"]


def write_cache(folder: Path, count: int) -> None:
    """`images/all.h5` and its table, with pictures of noise."""
    draws, ids = np.random.default_rng(2), ids_of(count)
    (folder / "images").mkdir()
    identity = {"kind": "table", "images_sha256": "", "labels_sha256": ""}
    writer = RowWriter(create_images(folder / "images/all.h5", ids, SIZE, PixelSettings(SIZE).saved(), identity))
    pixels = draws.integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    for row, hashes in enumerate(draws.integers(0, 1 << 63, (count, 5), dtype=np.uint64)):
        writer.write(row, pixels, hashes)
    writer.mark_done(list(range(count)))
    writer.close()
    table = pd.DataFrame(dict.fromkeys(COLUMNS, None), index=range(count))
    table["image_id"], table["patient_id"] = ids, [f"p{number // 2}" for number in range(count)]
    table["row"] = np.arange(count)
    header = SourceHeader(identity=identity, listed=count, unreadable=0)
    write_source_table(folder / "images/all.parquet", SourceTable("table", table, CLASSES, targets_of(count), header))
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")


def write_scores(folder: Path, count: int) -> None:
    """`scores.csv` and `labels.csv`."""
    targets = targets_of(count)
    logits = np.random.default_rng(3).normal(2 * targets - 2.0, 1.0)
    ids = pd.DataFrame({"image_id": ids_of(count)})
    pd.concat([ids, pd.DataFrame(logits.round(4), columns=CLASSES)], axis=1).to_csv(folder / "scores.csv", index=False)
    labels = pd.concat(
        [ids.assign(patient_id=[f"p{n // 2}" for n in range(count)]), pd.DataFrame(targets, columns=CLASSES)], axis=1
    )
    labels.to_csv(folder / "labels.csv", index=False)


def read_epoch(path: Path) -> None:
    dataset = read_dataset(path)
    pixels = 0
    for batch in batches(dataset, DatasetImages(dataset), epoch_draws(len(dataset.table), 64, 0, 0)):
        pixels += batch.images.numel()
    print(pixels)


def steps_of(folder: Path, count: int, wanted: list[str]) -> dict[str, Callable[[], list[str]]]:
    """Step -> a function that prepares it and returns its command."""
    program = [sys.executable, "-m", "cxrlt_cli"]

    def merge() -> list[str]:
        write_cache(folder, count)
        return [*program, "merge", "--label-space", "classes.txt", "--split", "60,20,20"]

    def scores() -> list[str]:
        write_scores(folder, count)
        (folder / "scored").mkdir()
        return [*program, "import", "scores.csv", "--labels", "labels.csv", "--name", "all", "--workspace", "scored"]

    made: dict[str, Callable[[], list[str]]] = {
        "cache": lambda: [*program, *write_pictures(folder / "pictures", count), "--workspace", "cached"],
        "merge": merge,
        "epoch": lambda: [sys.executable, __file__, "--read", "dataset.parquet"],
        "import": scores,
        "evaluate": lambda: [*program, "evaluate", "all", "--workspace", "scored"],
        "report": lambda: [*program, "report", "all", "--workspace", "scored"],
    }
    return {name: make for name, make in made.items() if name in wanted}


def write(rows: list[dict[str, Any]], to: Path) -> None:
    """Both files, anew after each step."""
    to.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
    lines = [
        "| step | images | wall, s | processor, s | processor ms an image | peak memory, MiB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in sorted(rows, key=lambda row: (row["step"], row["images"])):
        each = 1000 * row["processor_s"] / row["images"]
        seconds = f"{row['wall_s']:.1f} | {row['processor_s']:.1f} | {each:.3f}"
        lines.append(f"| {row['step']} | {row['images']:,} | {seconds} | {row['peak_MiB']:.0f} |")
    to.with_suffix(".md").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--counts", default="2000,20000,200000")
    parser.add_argument("--steps", default="cache,merge,epoch,import,evaluate,report")
    parser.add_argument("--to", type=Path, default=Path("scale"))
    parser.add_argument("--read", type=Path, help="only read an epoch of this dataset")
    given = parser.parse_args()
    if given.read:
        read_epoch(given.read)
        return
    rows = []
    for count in map(int, given.counts.split(",")):
        with tempfile.TemporaryDirectory() as name:
            for step, prepare in steps_of(Path(name), count, given.steps.split(",")).items():
                cost = command_cost(prepare(), Path(name))
                spent = {"wall_s": cost.wall, "processor_s": cost.processor, "peak_MiB": cost.memory / 2**20}
                rows.append({"step": step, "images": count, **spent})
                write(rows, given.to)
                print(rows[-1], flush=True)


if __name__ == "__main__":
    main()
