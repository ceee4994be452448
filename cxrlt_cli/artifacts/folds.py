"""Folds of a dataset: the split of one fold, and labels of held-out training images as validation has them."""

from dataclasses import replace

import numpy as np

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.errors import UserError


def in_fold(dataset: Dataset, fold: int | None) -> Dataset:
    """The dataset with the split of a fold: its images are the validation split, the other training images stay training.

    Args:
        dataset: as it was read.
        fold: counted from 0; None returns the dataset as it is.

    Raises:
        UserError: the dataset has no folds, or not this one.
    """
    if fold is None:
        return dataset
    _require_folds(dataset)
    if not 0 <= fold < dataset.folds:
        raise UserError(f"{dataset.path} has no fold {fold}", f"its folds are 0 to {dataset.folds - 1}")
    held_out = (dataset.table["fold"] == fold).to_numpy()
    evaluated = _with_evaluation_labels(dataset, held_out)
    return replace(evaluated, table=dataset.table.assign(split=np.where(held_out, "val", dataset.table["split"])))


def all_folds(dataset: Dataset) -> Dataset:
    """The images that some fold holds out, with labels as validation has them.

    Raises:
        UserError: the dataset has no folds.
    """
    _require_folds(dataset)
    held_out = (dataset.table["fold"] >= 0).to_numpy()
    return _with_evaluation_labels(dataset, held_out).rows(held_out)


def as_evaluated(
    targets: np.ndarray, label_mask: np.ndarray, lacking: np.ndarray, absent: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Labels of evaluated images of one source: classes that it does not label are unknown, or 0.

    Args:
        targets: (N, C) uint8, 0 where unknown.
        label_mask: (N, C) bool.
        lacking: (C,) bool: the classes that the source does not label.
        absent: whether they are 0.

    Returns:
        targets and label mask (N, C).
    """
    return np.where(lacking & (not absent), 0, targets).astype(targets.dtype), np.where(lacking, absent, label_mask)


def _require_folds(dataset: Dataset) -> None:
    if not dataset.folds:
        raise UserError(f"{dataset.path} has no folds", "make them: cxrlt merge --folds 5 --overwrite")


def _with_evaluation_labels(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """The dataset with labels of (N,) bool rows as `merge --missing-eval` defines them, and without their soft targets."""
    targets, label_mask = dataset.targets.copy(), dataset.label_mask.copy()
    for name, effect in dataset.header.policies.items():
        own = rows & (dataset.table["source"] == name).to_numpy()
        missing = effect["missing"]
        lacking = np.isin(dataset.classes, missing["classes"])
        absent = missing.get("evaluation", missing["policy"]) == "absent"
        targets[own], label_mask[own] = as_evaluated(targets[own], label_mask[own], lacking, absent)
    soft = None if dataset.soft is None else np.where(rows[:, None], np.nan, dataset.soft).astype(np.float32)
    return replace(dataset, targets=targets, label_mask=label_mask, soft=soft)
