"""What a run learns from: the splits of a dataset, the label embeddings, and the counts of their labels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cxrlt_cli.artifacts.dataset import Dataset, read_dataset, require_pixels
from cxrlt_cli.artifacts.embeddings import read_embeddings
from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.train.loss import Counts


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from.

    Attributes:
        train: the training split.
        val: the validation split.
        queries: (C, D) label embeddings, in the order of the classes.
        inputs: the files that were read.
    """

    train: Dataset
    val: Dataset
    queries: np.ndarray
    inputs: list[Path]

    @property
    def size(self) -> int:
        """Side of the images, px."""
        return int(self.train.settings["size"])


def read_training_data(dataset_path: Path, embeddings_path: Path) -> TrainingData:
    """Reads dataset and embeddings; warns of classes without a positive.

    Raises:
        UserError: one is not there or damaged, a class has no embedding, or a split has no positive of any class.
    """
    dataset = read_dataset(dataset_path)
    require_pixels(dataset)
    queries = read_embeddings(embeddings_path).of(dataset.classes, embeddings_path)
    train, val = dataset.split("train"), dataset.split("val")
    for split, name in ((train, "train"), (val, "val")):
        without = [label for label, positive in zip(dataset.classes, split.targets.max(axis=0), strict=True) if not positive]
        if len(without) == len(dataset.classes):
            raise UserError(f"{dataset_path}: the {name} split has no positive of any class", "see: cxrlt merge --split, --map")
        if without:
            warn(f"no positive in {name}: {listed(without, 12)}")
    return TrainingData(train, val, queries, [dataset_path, embeddings_path])


def count_labels(train: Dataset, class_weights: dict[str, float]) -> Counts:
    """Positives, known labels and weight of each class of the training split."""
    weights = [class_weights[name] for name in train.classes]
    positives, labelled = train.targets.sum(axis=0, dtype=np.int64), train.label_mask.sum(axis=0)
    return Counts(torch.from_numpy(positives), torch.from_numpy(labelled), torch.tensor(weights, dtype=torch.float64))
