"""Batches of a split: pixels as uint8 with targets, in the order of an epoch."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.data.images import DatasetImages
from cxrlt_cli.data.randomness import permutation


@dataclass(frozen=True)
class Batch:
    """Some rows of a split.

    Attributes:
        rows: (B,) row numbers in the split.
        images: (B, S, S) uint8.
        targets: (B, C) float32, 1 or 0, or a soft target between them; 0 where unknown.
        known: (B, C) bool; true for soft targets.
    """

    rows: np.ndarray
    images: Tensor
    targets: Tensor
    known: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        if device.type == "cpu":
            return self
        moved = (tensor.pin_memory().to(device, non_blocking=True) for tensor in (self.images, self.targets, self.known))
        return Batch(self.rows, *moved)


def epoch_rows(count: int, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """The rows of each batch of a training epoch, shuffled.

    The rest that does not fill a batch is left out of this epoch (another rest in each), so that batch normalisation never
    sees a very small batch; where all rows are fewer than a batch, they are one.
    """
    order = permutation(seed, epoch, count)
    if count < batch_size:
        return [order]
    return np.split(order[: count - count % batch_size], count // batch_size)


def rows_in_order(count: int, batch_size: int) -> list[np.ndarray]:
    """The rows of each batch, every row once, in order."""
    return np.split(np.arange(count), range(batch_size, count, batch_size))


def batches(dataset: Dataset, images: DatasetImages, rows: Iterable[np.ndarray]) -> Iterator[Batch]:
    """Reads batches, one ahead of the one in use: reading lets go of Python's lock while the network computes."""

    def read(chosen: np.ndarray) -> Batch:
        targets, known = dataset.targets[chosen].astype(np.float32), dataset.known[chosen]
        if dataset.soft is not None:
            soft = dataset.soft[chosen]
            targets, known = np.where(np.isnan(soft), targets, soft), known | ~np.isnan(soft)
        return Batch(chosen, torch.from_numpy(images.read(chosen)), torch.from_numpy(targets), torch.from_numpy(known))

    with ThreadPoolExecutor(1, thread_name_prefix="read-batch") as reader:
        ahead = None
        for chosen in rows:
            following = reader.submit(read, chosen)
            if ahead is not None:
                yield ahead.result()
            ahead = following
        if ahead is not None:
            yield ahead.result()
