"""Scores the images of a split or of a folder, batch by batch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.compute.distributed import Ranks
from cxrlt_cli.console import progress
from cxrlt_cli.data.batches import batches, pinned_for, rows_in_order
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.data.studies import rows_by_study
from cxrlt_cli.predict.folder import read_folder
from cxrlt_cli.preprocess.decode_workers import ImageFile
from cxrlt_cli.preprocess.settings import PixelSettings

#: (B, S, S) uint8 images, and the (B,) study of each for networks that score whole studies, to (B, C) logits.
Scorer = Callable[[torch.Tensor, np.ndarray | None], np.ndarray]
#: Row numbers (B,) among the images to be scored, and their (B, C) logits.
Part = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Shard:
    """The batches that a rank scores: the rows of each, and (N,) the study of each row if batches hold whole studies."""

    batches: list[np.ndarray]
    codes: np.ndarray | None

    @property
    def images(self) -> int:
        """Number of images."""
        return sum(map(len, self.batches))

    def studies(self, rows: np.ndarray) -> np.ndarray | None:
        """(n,) the studies of some rows."""
        return None if self.codes is None else self.codes[rows]


def batches_of(count: int, codes: np.ndarray | None, batch_size: int, ranks: Ranks) -> Shard:
    """The batches of a rank: every `world_size`-th one. A batch holds rows in order, or whole studies if `codes` are given."""
    if codes is None:
        every = rows_in_order(count, batch_size)
    else:
        every = rows_by_study(codes, np.arange(int(codes.max()) + 1), batch_size)
    return Shard(every[ranks.rank :: ranks.world_size], codes)


def score_split(split: str, score_batch: Scorer, dataset: Dataset, shard: Shard, device: torch.device) -> Iterator[Part]:
    """Scores a rank's images of a split; `device` is that of the networks."""
    with progress(f"predict {split}", shard.images) as bar:
        for batch in batches(dataset, DatasetImages(dataset), shard.batches, pinned_for(device)):
            yield batch.rows, score_batch(batch.images, shard.studies(batch.rows))
            bar.advance(len(batch.rows))


def score_folder(
    workers: int,
    score_batch: Scorer,
    files: dict[str, ImageFile],
    settings: PixelSettings,
    shard: Shard,
    failures: dict[str, str],
) -> Iterator[Part]:
    """Scores a rank's images of a folder; an image that cannot be read goes to `failures`, with the reason."""
    names = list(files)
    row = {name: index for index, name in enumerate(names)}
    groups = [[names[index] for index in rows] for rows in shard.batches]
    with progress("predict", shard.images) as bar:
        for ids, pixels, reasons in read_folder(files, settings, groups, workers):
            failures.update(reasons)
            if ids:
                rows = np.array([row[name] for name in ids])
                yield rows, score_batch(torch.from_numpy(pixels), shard.studies(rows))
            bar.advance(len(ids) + len(reasons))
