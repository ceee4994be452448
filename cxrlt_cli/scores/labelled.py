"""Predictions joined with the labels of the same images, by image id and class name."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.dataset import SPLITS, Dataset
from cxrlt_cli.artifacts.files import sha256_of
from cxrlt_cli.artifacts.folds import all_folds, in_fold
from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, read_predictions, rows_of
from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed, nearest
from cxrlt_cli.labels.groups import Group, assign


@dataclass(frozen=True)
class Scored:
    """Scores and labels of the rows of one split.

    Attributes:
        path: the predictions' file.
        header: the predictions' header.
        split: train, val, test or all.
        table: the dataset's columns, N rows in the order of the arrays below.
        classes: class names.
        logits: (N, C) float32.
        targets: (N, C) uint8, 1 or 0; 0 where unknown.
        label_mask: (N, C) bool.
        train_positives: (C,) int64 positives in the dataset's train split.
        train_label_counts: (C,) int64 known labels in the train split; 0 if the dataset has none.
        patients_known: False where every image counts as a patient of its own: imported labels may name no patients.
        held_out: names of the classes that no training label names.
    """

    path: Path
    header: PredictionsHeader
    split: str
    table: pd.DataFrame
    classes: list[str]
    logits: np.ndarray
    targets: np.ndarray
    label_mask: np.ndarray
    train_positives: np.ndarray
    train_label_counts: np.ndarray
    patients_known: bool = True
    held_out: tuple[str, ...] = ()

    @property
    def unseen(self) -> np.ndarray:
        """(C,) bool: the classes that no training label names."""
        return np.isin(self.classes, self.held_out)

    @property
    def patients(self) -> np.ndarray:
        """(N,) int64 patient number of each row, sorted by patient id, so that resamples do not depend on the row order."""
        codes: np.ndarray = pd.factorize(self.table["patient_id"], sort=True)[0]
        return codes

    @property
    def units(self) -> str:
        """What bootstrap resamples are drawn of: patients, or images where their patients are not known."""
        return "patients" if self.patients_known else "images"

    @property
    def train_prevalence(self) -> np.ndarray:
        """(C,) fraction of positives among the known training labels."""
        share: np.ndarray = self.train_positives / np.maximum(self.train_label_counts, 1)
        return share

    def rows(self, keep: np.ndarray) -> "Scored":
        """The rows selected by an (N,) bool mask."""
        table = self.table[keep].reset_index(drop=True)
        return replace(
            self, table=table, logits=self.logits[keep], targets=self.targets[keep], label_mask=self.label_mask[keep]
        )

    def groups(self, bounds: tuple[float, float]) -> list[Group] | list[None]:
        """Head, medium or tail for each class, or unseen; None if there is no train split."""
        if not self.train_label_counts.any():
            return [None] * len(self.classes)
        unseen = self.unseen
        return ["unseen" if unseen[c] else group for c, group in enumerate(assign(self.train_prevalence, bounds))]


def read_scored(path: Path, dataset: Dataset, split: str | None = None) -> Scored:
    """Reads predictions and joins them with the labels of their split.

    Args:
        path: predictions file.
        dataset: the whole dataset; head, medium and tail are counted in its train split.
        split: the scored split, `all` for the whole dataset; None takes it from the predictions' header.

    Raises:
        UserError: damaged predictions, unknown split, or images or classes that do not match.
    """
    predictions = read_predictions(path)
    split = split or _split_of(path, predictions)
    part = scored_part(dataset, split, predictions.header)
    _refuse_other_images(path, predictions, dataset, part, split)
    logits = _aligned(path, predictions, part)
    _warn_if_changed(predictions, dataset.path)
    whole = in_fold(dataset, predictions.header.fold)
    train = (whole.table["split"] == "train").to_numpy()
    return Scored(
        path=path,
        header=predictions.header,
        split=split,
        table=part.table,
        classes=part.classes,
        logits=logits,
        targets=part.targets,
        label_mask=part.label_mask,
        train_positives=whole.targets[train].sum(axis=0, dtype=np.int64),
        train_label_counts=whole.label_mask[train].sum(axis=0, dtype=np.int64),
        patients_known=dataset.patients_known,
        held_out=tuple(name for name, unseen in zip(part.classes, part.unseen, strict=True) if unseen),
    )


def scored_part(dataset: Dataset, split: str, header: PredictionsHeader) -> Dataset:
    """The rows of a dataset that predictions score, with the labels that evaluate them.

    Args:
        dataset: the whole dataset.
        split: train, val, test, or all.
        header: of the predictions, which says whose fold the split is of.

    Raises:
        UserError: the dataset has no such split or fold.
    """
    if split == "all":
        return dataset
    return all_folds(dataset) if header.out_of_fold else in_fold(dataset, header.fold).split(split)


def _split_of(path: Path, predictions: Predictions) -> str:
    split = predictions.header.split
    if split not in SPLITS:
        raise UserError(f"{path} does not record which split it scores", "name it: --split train, val, test or all")
    return str(split)


def _refuse_other_images(path: Path, predictions: Predictions, dataset: Dataset, part: Dataset, split: str) -> None:
    """Refuses predictions of images outside the split. Missing images are refused when joining."""
    split_of = dict(zip(dataset.table["image_id"], dataset.table["split"], strict=True))
    if len(split_of) < len(dataset.table):
        raise UserError(f"{dataset.path} has an image twice", "make it again with: cxrlt merge --overwrite")
    inside = set(part.table["image_id"])
    others = [name for name in predictions.image_ids if name not in inside]
    if not others:
        return
    found = [split_of.get(name, "no split") for name in others]
    where = ", ".join(f"{found.count(name)} in {name}" for name in (*SPLITS, "no split") if name in found)
    what = "" if split == "all" else f"the {split} split of "
    raise UserError(
        f"{len(others)} of the {len(predictions.image_ids)} images of {path} are not in {what}{dataset.path} "
        f"({where}): {listed(others)}",
        "name the split and the dataset that were scored: --split, --dataset",
    )


def _aligned(path: Path, predictions: Predictions, part: Dataset) -> np.ndarray:
    """(N, C) scores in the dataset's order of images and classes, joined by id and name."""
    missing = [name for name in part.classes if name not in predictions.classes]
    foreign = [name for name in predictions.classes if name not in part.classes]
    if missing or foreign:
        far = {name: nearest(name, missing) for name in foreign}
        said = [f"no scores for {listed(missing)}"] if missing else []
        said += [f"scores for {listed(f'{name}{far[name]}' for name in foreign)}, not in the dataset"] if foreign else []
        raise UserError(
            f"{path} and {part.path} differ in their classes: {'; '.join(said)}",
            "name the dataset it was trained on: --dataset; or merge in its label space: cxrlt merge --label-space, --map",
        )
    columns = [predictions.classes.index(name) for name in part.classes]
    rows = rows_of(path, predictions, list(part.table["image_id"]))
    aligned: np.ndarray = predictions.logits[rows][:, columns]
    return aligned


def _warn_if_changed(predictions: Predictions, dataset: Path) -> None:
    """Warns if the predictions were made from another version of the dataset: splits and labels may differ."""
    inputs = predictions.header.provenance.inputs
    known = [file.sha256 for file in inputs]
    if predictions.header.split and inputs and sha256_of(dataset) not in known:
        warn(f"{dataset} has changed since it was scored: splits and labels may differ, including from those used in training")
