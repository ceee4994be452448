"""`merge --folds`: training patients in folds for cross-validation."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.artifacts.folds import all_folds
from cxrlt_cli.console import data, say, shortened, table, warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.labels.splits import fold_patients

_MOST = 40  # names per line


def training_folds(
    rows: pd.DataFrame, positive: np.ndarray, training: np.ndarray, count: int, train_only: Collection[str], seed: int
) -> np.ndarray:
    """The fold of each training image; patients of `--train-only` sources train in every fold and are held out in none.

    Args:
        rows: `patient_id` and `source` of each image.
        positive: (N, C) bool, known positives.
        training: (N,) bool: images outside of the test split.
        count: number of folds.
        train_only: sources that only add training images.
        seed: breaks ties.

    Returns:
        (N,) int64, -1 for images that no fold holds out.

    Raises:
        UserError: there are fewer patients than folds.
    """
    added = rows["patient_id"][rows["source"].isin(train_only)]
    divided = training & ~rows["patient_id"].isin(added).to_numpy()
    fold = np.full(len(rows), -1, dtype=np.int64)
    if not divided.any():
        raise UserError(f"--folds {count}: no patient is left for the folds", "see --train-only and --split")
    fold[divided] = fold_patients(rows["patient_id"][divided], positive[divided], count, seed)
    return fold


def report_folds(dataset: Dataset, pseudo: Path | None) -> None:
    """Prints positives, images and patients of each fold; warns of classes that some fold has no positive of.

    Args:
        dataset: as written.
        pseudo: the scores of `--pseudo`.
    """
    part = all_folds(dataset)
    inside = [(part.table["fold"] == fold).to_numpy() for fold in range(dataset.folds)]
    counts = np.stack([part.targets[rows].sum(axis=0, dtype=np.int64) for rows in inside])
    order = np.argsort(-counts.sum(axis=0), kind="stable")
    names = [f"fold {fold}" for fold in range(dataset.folds)]
    rows = [[dataset.classes[c], *map(str, counts[:, c])] for c in order]
    images = [str(int(held.sum())) for held in inside]
    patients = [str(part.table["patient_id"][held].nunique()) for held in inside]
    shown = [list(row) for row in shortened(rows, f"cxrlt info {dataset.path}")]
    data(table(["positives", *names], [*shown, ["images", *images], ["patients", *patients]]))
    without = [dataset.classes[c] for c in order if counts[:, c].any() and not counts[:, c].all()]
    if without:
        warn(
            f"fewer patients with a positive than folds, so that some fold has none: {listed(without, _MOST)}. "
            "Their AP is undefined there"
        )
    if pseudo:
        warn(f"--pseudo {pseudo}: a network that learned from a held-out image passes its labels on to pseudo-labels")
    say(f"{dataset.folds} folds of the training patients, no val split; next: cxrlt train --fold 0, or cxrlt study folds")
