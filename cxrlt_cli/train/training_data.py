"""The training data of a run: splits of a dataset, label embeddings, label counts."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from cxrlt_cli.artifacts.dataset import Dataset, read_dataset, require_pixels
from cxrlt_cli.artifacts.embeddings import read_embeddings
from cxrlt_cli.artifacts.run_config import RunLabels
from cxrlt_cli.console import say, warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.train.loss import Counts


@dataclass(frozen=True)
class TrainingData:
    """The training data of a run.

    Attributes:
        train: the training split.
        val: the validation split.
        queries: (C, D) label embeddings, in the order of the classes.
        labels: what they were made from, and which classes are held out.
        inputs: the files that were read.
    """

    train: Dataset
    val: Dataset
    queries: np.ndarray
    labels: RunLabels
    inputs: list[Path]

    @property
    def size(self) -> int:
        """Side of the images, px."""
        return int(self.train.settings["size"])


def read_training_data(dataset_path: Path, embeddings_path: Path) -> TrainingData:
    """Reads dataset and embeddings; warns of classes without a positive.

    Raises:
        UserError: a missing or damaged file, a class without an embedding, or a split without a positive of any class.
    """
    dataset = read_dataset(dataset_path)
    require_pixels(dataset)
    embeddings = read_embeddings(embeddings_path)
    queries = embeddings.of(dataset.classes, embeddings_path)
    train, val = dataset.split("train"), _without_unseen(dataset.split("val"))
    held_out = np.array(dataset.classes)[dataset.unseen].tolist()
    if held_out:
        say(f"never trained on, and not in validation mAP: {listed(held_out, 40)}")
    for split, name in ((train, "train"), (val, "val")):
        positive = split.targets.any(axis=0) | dataset.unseen
        without = [label for label, there in zip(dataset.classes, positive, strict=True) if not there]
        if not split.targets.any():
            raise UserError(f"{dataset_path}: the {name} split has no positive of any class", "see: cxrlt merge --split, --map")
        if without:
            warn(f"no positive in {name}: {listed(without, 12)}")
    texts = dict(zip(embeddings.classes, embeddings.prompts, strict=True))
    labels = RunLabels(embeddings.encoder, {name: texts[name] for name in dataset.classes}, held_out)
    return TrainingData(train, val, queries, labels, [dataset_path, embeddings_path])


def _without_unseen(val: Dataset) -> Dataset:
    """Validation without the labels of held-out classes: they choose neither the best epoch nor anything else."""
    if not val.unseen.any():
        return val
    return replace(val, targets=np.where(val.unseen, 0, val.targets).astype(np.uint8), label_mask=val.label_mask & ~val.unseen)


def count_labels(train: Dataset, class_weights: dict[str, float]) -> Counts:
    """Positives, known labels and weight of each class of the training split."""
    weights = [class_weights[name] for name in train.classes]
    positives, labelled = train.targets.sum(axis=0, dtype=np.int64), train.label_mask.sum(axis=0)
    weighted = torch.tensor(weights, dtype=torch.float64) if any(weight != 1 for weight in weights) else None
    return Counts(torch.from_numpy(positives), torch.from_numpy(labelled), weighted)
