"""A cache of noise images, and a dataset of them, which are read like real ones."""

from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.dataset import COLUMNS, Dataset, DatasetHeader
from cxrlt_cli.artifacts.image_file import HASH_WORDS, create_images
from cxrlt_cli.artifacts.row_access import RowWriter, content_hash


def made_up_dataset(folder: Path, count: int, size: int, classes: int) -> Dataset:
    """Writes `folder/images.h5` with `count` images of `size` px, and returns a split with random labels."""
    draws = np.random.default_rng(0)
    ids = [f"{number:06}" for number in range(count)]
    settings = {"size": size}
    writer = RowWriter(create_images(folder / "images.h5", ids, size, settings, {}))
    hashes = np.zeros(HASH_WORDS, dtype=np.uint64)
    for row in range(count):
        pixels = draws.integers(0, 256, (size, size), dtype=np.uint8)
        hashes[0] = content_hash(pixels)
        writer.write(row, pixels, hashes)
    writer.mark_done(list(range(count)))
    writer.close()
    table = pd.DataFrame(dict.fromkeys(COLUMNS, ""), index=range(count))
    table["image_id"], table["cache"], table["row"] = ids, "images.h5", np.arange(count)
    targets = (draws.random((count, classes)) < 0.1).astype(np.uint8)
    names = [f"class {number}" for number in range(classes)]
    label_mask = np.ones_like(targets, dtype=bool)
    return Dataset(table, names, targets, label_mask, settings, DatasetHeader(), folder / "dataset.parquet")
