"""Batches of a split or of a folder through the networks."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.console import progress
from cxrlt_cli.data.batches import batches, rows_in_order
from cxrlt_cli.data.images import DatasetImages
from cxrlt_cli.data.studies import rows_by_study
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.inference.folder import read_folder
from cxrlt_cli.pixels.settings import PixelSettings
from cxrlt_cli.pixels.workers import ImageFile

#: (B, S, S) uint8 images, and the (B,) study of each where networks look at whole studies, to (B, C) logits.
Judge = Callable[[torch.Tensor, np.ndarray | None], np.ndarray]
#: Row numbers (B,) among the images to be scored, and their (B, C) logits.
Scored = Iterator[tuple[np.ndarray, np.ndarray]]


def _rows(count: int, codes: np.ndarray | None, batch_size: int) -> list[np.ndarray]:
    """The rows of each batch: in order, or whole studies."""
    if codes is None:
        return rows_in_order(count, batch_size)
    return rows_by_study(codes, np.arange(int(codes.max()) + 1), batch_size)


def score_split(
    config: PredictConfig, judge: Judge, dataset: Dataset, codes: np.ndarray | None, device: torch.device
) -> Scored:
    """Scores the images of a split; (N,) `codes` are their studies, for networks that look at whole ones."""
    count = len(dataset.table)
    with progress(f"predict {config.split}", count) as bar:
        for batch in batches(dataset, DatasetImages(dataset), _rows(count, codes, config.batch_size)):
            yield batch.rows, judge(batch.to(device).images, None if codes is None else codes[batch.rows])
            bar.advance(len(batch.rows))


def score_folder(
    config: PredictConfig,
    judge: Judge,
    files: dict[str, ImageFile],
    settings: PixelSettings,
    codes: np.ndarray | None,
    failures: dict[str, str],
) -> Scored:
    """Scores the images of files; what cannot be read goes to `failures`, with its reason.

    Raises:
        UserError: none of them can be read.
    """
    names = list(files)
    row = {name: index for index, name in enumerate(names)}
    groups = [[names[index] for index in rows] for rows in _rows(len(names), codes, config.batch_size)]
    with progress("predict", len(files)) as bar:
        for ids, pixels, reasons in read_folder(files, settings, groups, config.workers):
            failures.update(reasons)
            if ids:
                rows = np.array([row[name] for name in ids])
                yield rows, judge(torch.from_numpy(pixels), None if codes is None else codes[rows])
            bar.advance(len(ids) + len(reasons))
    if len(failures) == len(files):
        raise UserError(f"none of the {len(files)} images of {config.images} can be read: {listed(set(failures.values()))}")
