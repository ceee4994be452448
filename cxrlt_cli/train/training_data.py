"""The training data of a run: splits of a dataset, label embeddings, label counts."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from cxrlt_cli.artifacts.dataset import Dataset, read_dataset, require_pixels
from cxrlt_cli.artifacts.embeddings import read_embeddings
from cxrlt_cli.artifacts.features_file import FeatureFile, read_features
from cxrlt_cli.artifacts.folds import in_fold
from cxrlt_cli.artifacts.run_config import RunLabels
from cxrlt_cli.console import say, warn
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.data.feature_maps import FeatureMaps, refuse_other_pixels
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
        features: stored feature maps that take the place of pixels; None for pixels.
        fold: the one that is held out for validation; None where the dataset's own splits are used.
    """

    train: Dataset
    val: Dataset
    queries: np.ndarray
    labels: RunLabels
    inputs: list[Path]
    features: FeatureFile | None = None
    fold: int | None = None

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of an image, or of a stored map, as the network takes it."""
        return self.features.map_shape if self.features else (1, self.size, self.size)

    def images(self, split: Dataset) -> DatasetImages | FeatureMaps:
        """The pixels or maps of a split. Raises UserError where they are missing, damaged or others."""
        return FeatureMaps(split, self.features) if self.features else DatasetImages(split)

    @property
    def size(self) -> int:
        """Side of the images, px."""
        return int(self.train.settings["size"])


def read_training_data(
    dataset_path: Path, embeddings_path: Path, features_path: Path | None = None, fold: int | None = None
) -> TrainingData:
    """Reads dataset and embeddings, and stored features if they are named; warns of classes without a positive.

    Args:
        dataset_path: of the dataset.
        embeddings_path: of the label embeddings.
        features_path: of stored feature maps; None for pixels.
        fold: held out for validation; None for the dataset's own validation split.

    Raises:
        UserError: a missing or damaged file, a class without an embedding, no such fold, or a split without a positive of any
            class.
    """
    dataset = in_fold(read_dataset(dataset_path), fold)
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
    features = read_features(features_path) if features_path else None
    if features is not None:
        absent = refuse_other_pixels(dataset.rows(dataset.table["split"].isin(["train", "val"]).to_numpy()), features)
        if absent:
            say(f"not on this machine, so only the settings of the pixels were compared: {listed(absent)}")
    inputs = [dataset_path, embeddings_path, *([features_path] if features_path else [])]
    return TrainingData(train, val, queries, labels, inputs, features, fold)


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
