"""A made-up dataset and predictions on disk, for tests of what is said of them."""

from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.dataset import COLUMNS, Dataset, DatasetHeader, write_dataset
from cxrlt_cli.artifacts.files import fingerprint
from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, write_predictions
from cxrlt_cli.artifacts.provenance import Provenance

CLASSES = ["Effusion", "Enlarged Cardiomediastinum", "Hernia", "Fibrosis", "Never seen"]
SHARES = [0.4, 0.15, 0.05, 0.02, 0.0]
IMAGES = {"train": 400, "val": 60, "test": 200}


def make_dataset(path: Path, seed: int = 0, order: np.ndarray | None = None) -> Dataset:
    """A dataset of three splits with unknown labels, two images a patient; its rows in another order where one is given."""
    draws = np.random.default_rng(seed)
    split = [name for name, count in IMAGES.items() for _ in range(count)]
    count = len(split)
    frame = pd.DataFrame({name: [None] * count for name in COLUMNS}, dtype=object)
    frame["image_id"] = [f"i{n:04}" for n in range(count)]
    frame["patient_id"] = [f"p{n // 2:04}" for n in range(count)]
    frame["split"], frame["source"], frame["cache"], frame["row"] = split, "made-up", "images/made-up.h5", range(count)
    targets = (draws.random((count, len(CLASSES))) < SHARES).astype(np.uint8)
    label_mask = draws.random(targets.shape) < [1.0, 0.8, 1.0, 1.0, 1.0]
    rows = np.arange(count) if order is None else order
    table = frame.iloc[rows].reset_index(drop=True)
    dataset = Dataset(table, CLASSES, (targets * label_mask)[rows], label_mask[rows], {"size": 8}, DatasetHeader(), path)
    write_dataset(dataset)
    return dataset


def rows_of_split(dataset: Dataset, split: str) -> np.ndarray:
    return np.flatnonzero(dataset.table["split"] == split)


def make_predictions(path: Path, dataset: Dataset, split: str = "test", order: np.ndarray | None = None) -> Predictions:
    """Scores of a split that lean towards the labels, on a few levels so that they tie."""
    draws = np.random.default_rng(7)
    rows = rows_of_split(dataset, split)
    logits = np.round(draws.normal(size=(len(rows), len(CLASSES))) + dataset.targets[rows], 1).astype(np.float32)
    ids = dataset.table["image_id"].to_numpy()[rows]
    there = np.arange(len(rows)) if order is None else order
    provenance = Provenance(inputs=[fingerprint(dataset.path)])
    header = PredictionsHeader(["base"], split, views=8, merge="geomean", provenance=provenance)
    predictions = Predictions(list(ids[there]), list(CLASSES), logits[there], header)
    write_predictions(path, predictions)
    return predictions
