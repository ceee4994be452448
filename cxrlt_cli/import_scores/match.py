"""Scores and labels of the same images and classes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePath

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.console import say, warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.import_scores.score_columns import match_classes
from cxrlt_cli.import_scores.score_kind import Kind, kind_of_scores, logits_of
from cxrlt_cli.import_scores.score_table import ScoreTable, numbers_of, scored_rows


@dataclass(frozen=True)
class Matched:
    """Images and classes that have scores and labels.

    Attributes:
        dataset: its rows of the scored split are in the order of `logits`; rows of other splits are kept.
        logits: (N, C) float32.
        kind: what the scores were.
        columns: class -> column of the scores.
        left_out: see `results.ImportedScores`.
    """

    dataset: Dataset
    logits: np.ndarray
    kind: Kind
    columns: dict[str, str]
    left_out: dict[str, int]


def match(scores: ScoreTable, columns: dict[str, str], dataset: Dataset, split: str, kind: str) -> Matched:
    """Matches scores with labels by image id and class name; reports what is left out.

    Args:
        scores: the file.
        columns: class -> column of the scores.
        dataset: the labels.
        split: that was scored.
        kind: auto, probabilities or logits.

    Raises:
        UserError: no image or class has both; an image has two rows with different scores; a score is not a number or out of
            range; or the kind of scores is unclear.
    """
    used = match_classes(columns, dataset.classes, (scores.path, dataset.path))
    _report_unused(columns, used, dataset)
    scores = scored_rows(scores, list(used.values()))
    values = numbers_of(scores, list(used.values()))
    blank = np.isnan(values).any(axis=1)
    if blank.any():
        warn(f"{scores.path}: {int(blank.sum())} images lack a score of some class: left out ({listed(scores.ids[blank], 3)})")
        scores, values = scores.rows(~blank), values[~blank]
    if not len(values):
        raise UserError(f"{scores.path}: no image has a score for each of {listed(used)}", "see --columns")
    found: Kind = kind_of_scores(values) if kind == "auto" else kind  # type: ignore[assignment]
    if np.isin(values, (0, 1)).all():
        warn(f"{scores.path}: every score is 0 or 1, a decision: AP and AUROC say little; export the scores instead")
    logits = logits_of(values, found, scores, list(used))
    dataset = _with_classes(dataset, list(used))
    keep, rows, left_out = _join(dataset, scores, split)
    return Matched(dataset.rows(keep), logits[rows], found, used, left_out | {"blank_scores": int(blank.sum())})


def _report_unused(columns: dict[str, str], used: dict[str, str], dataset: Dataset) -> None:
    without_labels = [name for name, column in columns.items() if column not in used.values()]
    without_scores = [name for name in dataset.classes if name not in used]
    if without_labels:
        say(f"not a class of the labels: {listed(without_labels, 20)}")
    if without_scores:
        say(f"classes of the labels without scores: {listed(without_scores, 20)}")


def _with_classes(dataset: Dataset, classes: list[str]) -> Dataset:
    places = [dataset.classes.index(name) for name in classes]
    soft = None if dataset.soft is None else dataset.soft[:, places]
    return replace(
        dataset, classes=classes, targets=dataset.targets[:, places], label_mask=dataset.label_mask[:, places], soft=soft
    )


def _join(dataset: Dataset, scores: ScoreTable, split: str) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """(N,) bool rows of the dataset to keep; of those in the split, the rows of the scores; counts of what is left out."""
    ids, of_split = dataset.table["image_id"], (dataset.table["split"] == split).to_numpy()
    rows = _rows_of(ids, scores)
    scored = of_split & (rows >= 0)
    if not scored.any():
        other = f" in the {split} split" if (rows >= 0).any() and not of_split.all() else ""
        raise UserError(
            f"no image of {scores.path} has a label{other} in {dataset.path}: the scores have {listed(scores.ids, 2)}, "
            f"the labels {listed(ids[of_split] if of_split.any() else ids, 2)}",
            "ids must be equal: see --id-column and --label-id-column; and --split",
        )
    used, elsewhere = np.zeros(len(scores.ids), dtype=bool), np.zeros(len(scores.ids), dtype=bool)
    used[rows[scored]] = True
    elsewhere[rows[~of_split & (rows >= 0)]] = True
    left_out = {
        "labels": (scores.ids[~used & ~elsewhere], f"images of {scores.path} have no label"),
        "scores": (ids[of_split & (rows < 0)], f"images of {dataset.path} have no score"),
        "split": (scores.ids[elsewhere], f"images of {scores.path} are not in the {split} split"),
    }
    for names, what in left_out.values():
        if len(names):
            warn(f"{len(names)} {what}: left out ({listed(names, 3)})")
    return scored | ~of_split, rows[scored], {name: len(names) for name, (names, _) in left_out.items()}


def _rows_of(ids: pd.Series, scores: ScoreTable) -> np.ndarray:
    """(N,) row of the scores of each id, else -1. If no id is equal, they are compared without folders, then without suffix."""
    for what, plain in _SPELLINGS.items():
        labelled, scored = ids.map(plain), scores.ids.map(plain)
        row_of = {name: row for row, name in enumerate(scored)}
        rows = np.array([row_of.get(name, -1) for name in labelled], dtype=np.int64)
        if (rows >= 0).any() and scored.is_unique and labelled.is_unique:
            if what:
                first = int(np.argmax(rows >= 0))
                say(f"ids are matched without {what}: {scores.ids.iloc[rows[first]]} is {ids.iloc[first]}")
            return rows
    return np.full(len(ids), -1)


_SPELLINGS: dict[str, Callable[[str], str]] = {
    "": str,
    "their folders": lambda name: PurePath(name.replace("\\", "/")).name,
    "their folders and suffixes": lambda name: PurePath(name.replace("\\", "/")).stem,
}
