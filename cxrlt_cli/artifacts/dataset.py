"""`dataset.parquet`: one row an image with its labels and where its pixels stand. Points to pixels, copies none."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from cxrlt_cli.artifacts.data_sources import DataSource
from cxrlt_cli.artifacts.parsing import ClassNames, damage_reported, parse, plain, require_size
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.artifacts.tables import matrix, nullable_int8, read_table, require_columns, require_filled, texts, write_table
from cxrlt_cli.errors import UserError, listed

FORMAT, VERSION = "cxrlt dataset", 1
SPLITS = ("train", "val", "test")

#: `cache` is the path of the image file from the folder of the dataset, `row` the image's row in it; both null without pixels.
#: A dataset with folds also has `fold`: the fold of a training image, counted from 0; -1 for images that no fold holds out.
COLUMNS = ["image_id", "patient_id", "study_id", "source", "split", "view", "sex", "age", "cache", "row"]


@dataclass(frozen=True)
class HeldOut:
    """Classes that no training label names (`merge --hold-out`).

    Attributes:
        classes: their names; empty where all classes are trained.
        mode: `left-out`: training images that have one are not in the dataset; `unknown`: they are, without these labels.
        left_out: training images that were left out.
        train_positives: class -> training images that had it.
    """

    classes: list[str] = field(default_factory=list)
    mode: Literal["left-out", "unknown"] = "left-out"
    left_out: int = 0
    train_positives: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DatasetHeader:
    """How a dataset was made.

    Attributes:
        label_space: a built-in space, a file, or `sources`.
        policies: source -> what was done with its missing, blank and uncertain labels.
        implied: labels that the hierarchy set to 1, an entry a pair of classes.
        counts: class -> positives.
        left_out: images that were left out.
        held_out: None where `merge --hold-out` was not given.
        corrections: what `merge --corrections` did, an entry a file.
        folds: number of folds of `merge --folds`; 0 without.
        patients: of imported labels: where the patient ids come from, empty where they are not known. None after `merge`.
        data_sources: its sources, and those of the run whose scores are its pseudo-labels; None where they are not recorded.
        provenance: see there.
    """

    label_space: str | None = None
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    implied: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    left_out: int | None = None
    held_out: HeldOut | None = None
    corrections: list[dict[str, Any]] = field(default_factory=list)
    folds: int = 0
    patients: str | None = None
    data_sources: list[DataSource] | None = None
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        if self.folds < 0 or self.folds == 1:
            raise ValueError(f"folds is {self.folds}, not 0 or at least 2")


@dataclass(frozen=True)
class Dataset:
    """Images of one or more sources in one label space.

    Attributes:
        table: `COLUMNS`, a row an image.
        classes: class names, in the order of the columns below.
        targets: (N, C) uint8, 1 or 0; 0 where unknown.
        label_mask: (N, C) bool.
        settings: how the pixels were made; one for all. Empty where there are none: `cxrlt import` takes labels alone.
        header: how it was made.
        path: the file it was read from.
        soft: (N, C) float32, training targets of labels that are not known, NaN where there is none; None without any. They
            count in no metric.
    """

    table: pd.DataFrame
    classes: list[str]
    targets: np.ndarray
    label_mask: np.ndarray
    settings: dict[str, Any]
    header: DatasetHeader
    path: Path
    soft: np.ndarray | None = None

    @property
    def has_pixels(self) -> bool:
        """Whether the rows point to images."""
        return bool(self.settings)

    @property
    def patients_known(self) -> bool:
        """Whether `patient_id` names patients; where imported labels name none, every image counts as a patient of its own."""
        return self.header.patients != ""

    @property
    def folds(self) -> int:
        """Number of folds; 0 without. `artifacts.folds` gives the split of a fold."""
        return self.header.folds

    @property
    def unseen(self) -> np.ndarray:
        """(C,) bool: the classes that no training label names."""
        return np.isin(self.classes, self.held_out.classes)

    @property
    def held_out(self) -> HeldOut:
        """What `merge --hold-out` did; no classes where it was not given."""
        return self.header.held_out or HeldOut()

    def split(self, name: str) -> "Dataset":
        """The rows of one split.

        Raises:
            UserError: the split has no rows.
        """
        keep = (self.table["split"] == name).to_numpy()
        if not keep.any() and name == "val" and self.folds:
            raise UserError(
                f"{self.path} has {self.folds} folds instead of a val split",
                "hold one out: cxrlt train --fold 0, or cxrlt study folds",
            )
        if not keep.any():
            there = ", ".join(sorted(self.table["split"].unique()))
            raise UserError(f"{self.path} has no {name} split (it has: {there})", "see the fractions of: cxrlt merge --split")
        return self.rows(keep)

    def rows(self, keep: np.ndarray) -> "Dataset":
        """Some rows, by their numbers in order or a bool a row."""
        table = self.table.loc[keep].reset_index(drop=True)
        soft = None if self.soft is None else self.soft[keep]
        return replace(self, table=table, targets=self.targets[keep], label_mask=self.label_mask[keep], soft=soft)


def require_pixels(dataset: Dataset) -> None:
    """Raises UserError where a dataset has labels alone."""
    if not dataset.has_pixels:
        raise UserError(
            f"{dataset.path} has no pixels: it holds the labels of imported scores",
            "images are needed here: cxrlt cache, then cxrlt merge; or name another dataset",
        )


def write_dataset(dataset: Dataset) -> None:
    """Writes a dataset to its path."""
    columns: dict[str, Any] = {}
    for name in COLUMNS:
        values = dataset.table[name]
        if isinstance(values.dtype, pd.CategoricalDtype):
            column = pa.array(values)
            columns[name] = column if name in _FEW else column.cast(pa.string())
        else:
            column = pa.array(values, from_pandas=True, type=_TYPES.get(name, pa.string()))
            columns[name] = column.dictionary_encode() if name in _FEW else column
    if dataset.folds:
        fold = dataset.table["fold"].to_numpy()
        columns["fold"] = pa.array(fold, pa.int64(), mask=fold < 0)
    for index, name in enumerate(dataset.classes):
        columns[f"label:{name}"] = nullable_int8(dataset.targets[:, index], dataset.label_mask[:, index])
        if dataset.soft is not None and np.isfinite(dataset.soft[:, index]).any():
            columns[f"soft:{name}"] = pa.array(dataset.soft[:, index], from_pandas=True)
    header = {**plain(dataset.header), "classes": dataset.classes, "settings": dataset.settings}
    write_table(dataset.path, pa.table(columns), FORMAT, VERSION, header)


_TYPES = {"row": pa.int64(), "age": pa.float32()}
_FILLED = ["image_id", "patient_id", "source", "split"]  # the others may be unknown
_POINTERS = ["cache", "row"]  # to pixels
_MADE_BY = "cxrlt merge --overwrite"
_HINT = f"make it again with: {_MADE_BY}"
_FEW = ("source", "split", "view", "sex", "cache")  # columns of few values


def read_dataset(path: Path) -> Dataset:
    """Reads `dataset.parquet`.

    Raises:
        UserError: not there, damaged, not a dataset, without rows, or with labels other than 1, 0 and null.
    """
    with damage_reported(path, _HINT):
        return _checked(path, *read_table(path, FORMAT, VERSION, _MADE_BY))


def _checked(path: Path, table: pa.Table, content: dict[str, Any]) -> Dataset:
    header = parse(DatasetHeader, content, path, _HINT)
    classes, settings = parse(ClassNames, content, path, _HINT).classes, parse(_Pixels, content, path, _HINT).settings
    held_out = header.held_out.classes if header.held_out else []
    strange_classes = sorted(set(held_out) - set(classes))
    if strange_classes:
        raise UserError(f"{path} is damaged: held_out names {listed(strange_classes)}, which are no classes", _HINT)
    labels = [f"label:{name}" for name in classes]
    require_columns(path, table, [*COLUMNS, *labels])
    require_filled(path, table, [*_FILLED, *(_POINTERS if settings else ())])
    if not table.num_rows:
        raise UserError(f"{path} has no rows", _HINT)
    if not settings and any(table[name].null_count < table.num_rows for name in _POINTERS):
        raise UserError(f"{path} is damaged: settings.size is missing, and its rows point to pixels", _HINT)
    values = matrix(table, labels, -1)
    if not np.isin(values, (-1, 0, 1)).all():
        raise UserError(f"{path} has labels other than 1, 0 and null", _HINT)
    label_mask = values >= 0
    frame = pd.DataFrame({name: _plain(table[name], _TYPES.get(name, pa.string())) for name in COLUMNS})
    strange = sorted(set(frame["split"]) - set(SPLITS))
    if strange:
        raise UserError(f"{path} has unknown splits: {listed(strange)}", _HINT)
    if frame["row"].min() < 0:
        raise UserError(f"{path} is damaged: a row below 0", _HINT)
    if header.folds:
        frame["fold"] = _fold(path, table, header.folds, (frame["split"] == "train").to_numpy())
    targets = (values == 1).astype(np.uint8)
    return Dataset(frame, classes, targets, label_mask, settings, header, path, _soft(path, table, classes))


@dataclass(frozen=True)
class _Pixels:
    """What the header must hold besides: the settings of the pixels; none where the rows have no pixels."""

    settings: dict[str, Any]

    def __post_init__(self) -> None:
        if self.settings:
            require_size(self.settings, "settings")


def _fold(path: Path, table: pa.Table, folds: int, training: np.ndarray) -> np.ndarray:
    """(N,) int64 fold of each row, -1 for none. Raises UserError where it is not a fold, or a test image has one."""
    require_columns(path, table, ["fold"])
    fold: np.ndarray = table["fold"].cast(pa.int64()).fill_null(-1).to_numpy()
    if fold.min() < -1 or fold.max() >= folds or (fold[~training] != -1).any():
        raise UserError(f"{path} is damaged: its column fold does not divide the training images into {folds} folds", _HINT)
    return fold


def _soft(path: Path, table: pa.Table, classes: list[str]) -> np.ndarray | None:
    columns = set(table.column_names)
    there = [index for index, name in enumerate(classes) if f"soft:{name}" in columns]
    if not there:
        return None
    soft = np.full((table.num_rows, len(classes)), np.nan, dtype=np.float32)
    for index in there:
        soft[:, index] = table[f"soft:{classes[index]}"].cast(pa.float32()).to_numpy()
    if ((soft < 0) | (soft > 1)).any():
        raise UserError(f"{path} has soft targets outside of 0 … 1", _HINT)
    return soft


def _plain(column: pa.ChunkedArray, kind: pa.DataType) -> Any:
    return (texts(column) if kind == pa.string() else column.cast(kind)).to_pandas()
