"""Predictions beside the labels of the same images, joined by id and by name: where every comparison with the truth begins."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.dataset import SPLITS, Dataset
from cxrlt_cli.artifacts.files import fingerprint
from cxrlt_cli.artifacts.predictions import Predictions, read_predictions, rows_of
from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed, nearest
from cxrlt_cli.labels.groups import Group, assign


@dataclass(frozen=True)
class Scored:
    """Scores and labels of the rows of one split.

    Attributes:
        path: of the predictions.
        header: what they say of themselves.
        split: train, val, test or all.
        table: the dataset's columns, a row for each of the N rows below.
        classes: names.
        logits: (N, C) float32.
        targets: (N, C) uint8, 1 or 0; 0 where unknown.
        label_mask: (N, C) bool.
        train_positives: (C,) int64 of the dataset's train split.
        train_known: (C,) int64 known labels there; all 0 where the dataset has no such split.
    """

    path: Path
    header: dict[str, Any]
    split: str
    table: pd.DataFrame
    classes: list[str]
    logits: np.ndarray
    targets: np.ndarray
    label_mask: np.ndarray
    train_positives: np.ndarray
    train_label_counts: np.ndarray

    @property
    def patients(self) -> np.ndarray:
        """(N,) int64 number of each row's patient, in the order of their ids: resamples do not depend on the rows' order."""
        codes: np.ndarray = pd.factorize(self.table["patient_id"], sort=True)[0]
        return codes

    @property
    def train_share(self) -> np.ndarray:
        """(C,) positives among the known training labels."""
        share: np.ndarray = self.train_positives / np.maximum(self.train_label_counts, 1)
        return share

    def rows(self, keep: np.ndarray) -> "Scored":
        """Some of the rows, by (N,) bool."""
        table = self.table[keep].reset_index(drop=True)
        return replace(
            self, table=table, logits=self.logits[keep], targets=self.targets[keep], label_mask=self.label_mask[keep]
        )

    def groups(self, bounds: tuple[float, float]) -> list[Group] | list[None]:
        """Head, medium or tail for each class; None for each where there is no train split."""
        return assign(self.train_share, bounds) if self.train_label_counts.any() else [None] * len(self.classes)


def read_scored(path: Path, dataset: Dataset, split: str | None = None) -> Scored:
    """Reads predictions and puts them beside the labels of their split.

    Args:
        path: the predictions.
        dataset: all of it: head, medium and tail are counted in its train split.
        split: what was scored, `all` for the whole dataset; what the predictions say where it is None.

    Raises:
        UserError: bad predictions, no split said, or images or classes that do not match.
    """
    predictions = read_predictions(path)
    split = split or _split_of(path, predictions)
    part = dataset if split == "all" else dataset.split(split)
    _refuse_other_images(path, predictions, dataset, part, split)
    logits = _aligned(path, predictions, part)
    _warn_if_changed(predictions, dataset.path)
    train = (dataset.table["split"] == "train").to_numpy()
    return Scored(
        path=path,
        header=predictions.header,
        split=split,
        table=part.table,
        classes=part.classes,
        logits=logits,
        targets=part.targets,
        label_mask=part.label_mask,
        train_positives=dataset.targets[train].sum(axis=0, dtype=np.int64),
        train_label_counts=dataset.label_mask[train].sum(axis=0, dtype=np.int64),
    )


def _split_of(path: Path, predictions: Predictions) -> str:
    split = predictions.header.get("split")
    if split not in SPLITS:
        raise UserError(f"{path} does not say which split it scores", "say it: --split train, val, test or all")
    return str(split)


def _refuse_other_images(path: Path, predictions: Predictions, dataset: Dataset, part: Dataset, split: str) -> None:
    """Refuses predictions of images that are not in the split; those that lack some of it are refused when joined."""
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
        "name the split or the dataset that was scored: --split, --dataset",
    )


def _aligned(path: Path, predictions: Predictions, part: Dataset) -> np.ndarray:
    """(N, C) scores in the images' and classes' order of the dataset, joined by id and by name."""
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
    """Says so where the predictions were made from another state of the dataset: splits and labels may have moved."""
    inputs = predictions.header.get("provenance", {}).get("inputs", [])
    known = [file.get("sha256") for file in inputs]
    if predictions.header.get("split") and inputs and fingerprint(dataset)["sha256"] not in known:
        warn(f"{dataset} is not the dataset that was scored: its splits and labels may differ, also from the training's")
