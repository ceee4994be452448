"""Batches of a split: pixels or feature maps, and targets, in the order of an epoch."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.data.rng import Stream, permutation, uniform
from cxrlt_cli.machine import cores


class Images(Protocol):
    """What is read of a dataset's images: their pixels or their feature maps."""

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(B, S, S) uint8 pixels or (B, C, h, w) float16 maps of (B,) rows, in their order."""


@dataclass(frozen=True)
class Batch:
    """A batch: some rows of a split.

    Attributes:
        rows: (B,) row numbers in the split.
        draws: (B,) numbers, unique within an epoch, that encode the row and how often it was drawn before. Augmentation
            depends on them, so an image drawn twice in an epoch is augmented in two ways.
        images: (B, S, S) uint8 pixels or (B, C, h, w) float16 maps as read; or float32 as the network takes them, pixels as
            (B, 1, S, S).
        targets: (B, C) float32, 1 or 0, or a soft target between them; 0 where unknown.
        label_mask: (B, C) bool; true for soft targets.
    """

    rows: np.ndarray
    draws: np.ndarray
    images: Tensor
    targets: Tensor
    label_mask: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        if device.type == "cpu":
            return self
        moved = (tensor.to(device, non_blocking=True) for tensor in (self.images, self.targets, self.label_mask))
        return Batch(self.rows, self.draws, *moved)

    def pinned(self) -> "Batch":
        """The batch in page-locked memory, so that the copy to a GPU overlaps with computation."""
        return Batch(self.rows, self.draws, *(tensor.pin_memory() for tensor in (self.images, self.targets, self.label_mask)))


def epoch_draws(count: int, batch_size: int, seed: int, epoch: int, weights: np.ndarray | None = None) -> list[np.ndarray]:
    """The draws of each batch of a training epoch, shuffled; `draw % count` is the row.

    Rows that do not fill the last batch are dropped for this epoch (different ones in each epoch), so that batch
    normalisation never sees a very small batch. If the split is smaller than one batch, it is one batch.

    Args:
        count: rows of the split.
        batch_size: rows per batch.
        seed: of the run.
        epoch: from 0.
        weights: (count,) relative sampling weights; None draws each row once. An epoch always has `count` draws. A row of
            weight w is drawn floor or ceil of w / mean(w) times (systematic sampling).
    """
    order = permutation(seed, epoch, count)
    if weights is not None:
        order = _drawn(order, weights, seed, epoch)
    if count < batch_size:
        return [order]
    return np.split(order[: count - count % batch_size], count // batch_size)


def _drawn(order: np.ndarray, weights: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    count = len(order)
    ends = np.cumsum(weights[order])
    start = uniform(seed, epoch, np.zeros(1, dtype=np.int64), Stream.SAMPLE)[0]
    chosen = np.searchsorted(ends, (start + np.arange(count)) * (ends[-1] / count), side="right").clip(max=count - 1)
    again = np.arange(count) - np.searchsorted(chosen, chosen)  # occurrences of the same row before this one
    draws = order[chosen] + count * again
    return np.asarray(draws[np.argsort(uniform(seed, epoch, draws, Stream.ORDER), kind="stable")])


def rows_in_order(count: int, batch_size: int) -> list[np.ndarray]:
    """The rows of each batch, every row once, in order."""
    return np.split(np.arange(count), range(batch_size, count, batch_size))


def batches(
    dataset: Dataset, images: Images, draws: Iterable[np.ndarray], ahead: Callable[[Batch], Batch] | None = None
) -> Iterator[Batch]:
    """Reads batches in threads, ahead of use. Reading releases Python's lock, so it overlaps with the network's computation.

    Args:
        dataset: labels of the split.
        images: its pixels or maps.
        draws: the draws of each batch.
        ahead: a further step for each batch in those threads; must not depend on the order of batches.
    """

    def read(drawn: np.ndarray) -> Batch:
        chosen = drawn % len(dataset.table)
        targets, label_mask = dataset.targets[chosen].astype(np.float32), dataset.label_mask[chosen]
        if dataset.soft is not None:
            soft = dataset.soft[chosen]
            targets, label_mask = np.where(np.isnan(soft), targets, soft), label_mask | ~np.isnan(soft)
        labels = torch.from_numpy(targets), torch.from_numpy(label_mask)
        batch = Batch(chosen, drawn, torch.from_numpy(images.read(chosen)), *labels)
        return batch if ahead is None else ahead(batch)

    threads = min(cores(), _MOST_THREADS)
    reader = ThreadPoolExecutor(threads, "read-batch", torch.set_num_threads, (1,))  # each thread has its own number
    waiting = deque[Future[Batch]]()
    try:
        for drawn in draws:
            waiting.append(reader.submit(read, drawn))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        reader.shutdown(cancel_futures=True)


def pinned_for(device: torch.device) -> Callable[[Batch], Batch] | None:
    """The `ahead` step for batches that go to a device unchanged."""
    return Batch.pinned if device.type == "cuda" else None


_MOST_THREADS = 4  # each reads thousands of 224 px images/s; more threads would only use memory
