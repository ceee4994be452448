"""Labels that a human confirmed to be wrong: flipped in the merged dataset, with a record of what was done."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.corrections import Correction, read_corrections
from cxrlt_cli.console import say, warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.labels.hierarchy import imply_parents

Unsure = Literal["keep", "unknown"]


@dataclass(frozen=True)
class Corrected:
    """Labels after corrections.

    Attributes:
        targets: (N, C) uint8, 0 where unknown.
        label_mask: (N, C) bool.
        record: what was done, a row a file, as the dataset's header keeps it.
    """

    targets: np.ndarray
    label_mask: np.ndarray
    record: list[dict[str, Any]]


@dataclass(frozen=True)
class _Places:
    """Where a correction's label is in the arrays."""

    rows: dict[str, int]
    columns: dict[str, int]

    def of(self, one: Correction) -> tuple[int, int] | None:
        """(row, column); None where the image or the class is not there."""
        row, column = self.rows.get(one.image), self.columns.get(one.label)
        return None if row is None or column is None else (row, column)


def apply_corrections(
    files: tuple[Path, ...], table: pd.DataFrame, classes: list[str], labels: tuple[np.ndarray, np.ndarray], unsure: Unsure
) -> Corrected:
    """Applies reviewed corrections, file after file: `flip` makes a label the suggested one, `keep` leaves it.

    A row whose `given` is not the label in the dataset was made of other labels, and is left out. Every row that does nothing
    is counted and reported.

    Args:
        files: reviewed `corrections.csv`.
        table: N rows with `image_id` and `split`.
        classes: (C,) names.
        labels: targets (N, C) uint8 and label_mask (N, C) bool.
        unsure: what `unsure` does: nothing, or makes the label unknown.

    Raises:
        UserError: a damaged file, one without a reviewed row, or one that matches no label.
    """
    corrected = Corrected(labels[0].copy(), labels[1].copy(), [])
    places = _Places(
        {name: number for number, name in enumerate(table["image_id"])}, {name: number for number, name in enumerate(classes)}
    )
    evaluated = (table["split"] != "train").to_numpy()
    for path in files:
        counts = _apply(path, corrected, places, unsure, evaluated)
        corrected.record.append({"file": str(path), "unsure_becomes": unsure, **counts})
    return corrected


def _apply(path: Path, corrected: Corrected, places: _Places, unsure: Unsure, evaluated: np.ndarray) -> dict[str, int]:
    """Applies a file to the arrays in place; how many rows did what."""
    rows = read_corrections(path)
    reviewed = [one for one in rows if one.review]
    if not reviewed:
        raise UserError(f"no row of {path} is reviewed", "review it in the page of cxrlt clean, and save it there")
    found = [(one, at) for one in reviewed if (at := places.of(one))]
    if not found:
        raise UserError(f"{path} matches no label of the dataset: {_named(reviewed)}", "is it of other sources?")
    targets, label_mask = corrected.targets, corrected.label_mask
    current = [(one, at) for one, at in found if label_mask[at] and targets[at] == one.given]
    flips = [(one, at) for one, at in current if one.review == "flip"]
    unsures = [at for one, at in current if one.review == "unsure"]
    for one, at in flips:
        targets[at] = one.suggested
    for at in unsures if unsure == "unknown" else ():
        targets[at], label_mask[at] = 0, False
    counts = {
        "to_1": sum(one.suggested == 1 for one, _ in flips),
        "to_0": sum(one.suggested == 0 for one, _ in flips),
        "kept": sum(one.review == "keep" for one, _ in current),
        "unsure": len(unsures),
        "not_reviewed": len(rows) - len(reviewed),
        "unmatched": len(reviewed) - len(found),
        "other_given": len(found) - len(current),
        "of_evaluation": sum(bool(evaluated[at[0]]) for _, at in flips),
    }
    _report(path, counts, unsure)
    _report_idle(path, [one for one in reviewed if not places.of(one)], [one for one in found if one not in current])
    return counts


def with_parents(corrected: Corrected, table: pd.DataFrame, classes: list[str]) -> Corrected:
    """The labels in which every finding that a corrected one is a kind of is positive too, where its label may be known.

    In validation and test a parent that is unknown stays unknown, as `--missing-eval` decides.

    Args:
        corrected: labels that agreed with the hierarchy before they were corrected.
        table: N rows with `split`.
        classes: (C,) names.
    """
    positive, _, implied = imply_parents(corrected.targets == 1, corrected.label_mask, classes)
    may = corrected.label_mask | (table["split"] == "train").to_numpy()[:, None]
    raised = positive & may & (corrected.targets == 0)
    if raised.any():
        names = listed(dict.fromkeys(entry.parent for entry in implied))
        say(f"hierarchy: {int(raised.sum())} labels are 1 because a corrected finding is a kind of theirs: {names}")
    return Corrected(np.where(raised, 1, corrected.targets).astype(np.uint8), corrected.label_mask | raised, corrected.record)


def _report(path: Path, counts: dict[str, int], unsure: Unsure) -> None:
    becomes = "left as they are" if unsure == "keep" else "unknown now"
    say(
        f"{path}: {counts['to_1'] + counts['to_0']} labels flipped ({counts['to_1']} to 1, {counts['to_0']} to 0), "
        f"{counts['kept']} kept, {counts['unsure']} unsure ({becomes}), {counts['not_reviewed']} rows not reviewed"
    )
    if counts["of_evaluation"]:
        warn(
            f"{path}: {counts['of_evaluation']} of the flipped labels are of validation or test images. They were chosen by "
            "scores, so that metrics on them favour the network that scored"
        )


def _report_idle(path: Path, unmatched: list[Correction], changed: list[tuple[Correction, tuple[int, int]]]) -> None:
    if unmatched:
        warn(f"{path}: {len(unmatched)} rows match no image or class of the dataset: {_named(unmatched)}")
    if changed:
        names = _named(one for one, _ in changed)
        warn(f"{path}: {len(changed)} rows say another given label than the dataset has, and are left out: {names}")


def _named(rows: Iterable[Correction]) -> str:
    return listed(f"{one.label} of {one.image}" for one in rows)
