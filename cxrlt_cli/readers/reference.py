"""The reference that readers and network are compared with: expert labels, a majority of readers, or the dataset's labels."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed, nearest
from cxrlt_cli.readers.label_table import HumanLabels
from cxrlt_cli.scores.labelled import Scored


@dataclass(frozen=True)
class Reference:
    """The reference labels of N images and C classes.

    Attributes:
        name: for messages and tables.
        positive: (N, C) bool, or (R, N, C) where each reader has another reference.
        known: the same shape.
        in_reference: (R,) bool, the readers that it was made from; empty without readers.
    """

    name: str
    positive: np.ndarray
    known: np.ndarray
    in_reference: np.ndarray

    def of(self, reader: int) -> tuple[np.ndarray, np.ndarray]:
        """(N, C) positive and known, for one reader."""
        return (self.positive, self.known) if self.positive.ndim == 2 else (self.positive[reader], self.known[reader])


def majority(positive: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, C) positive and known of (R, N, C): the majority of the readers of an image; unknown for a tie or fewer than two."""
    votes, readers = (positive & known).sum(axis=0), known.sum(axis=0)
    return 2 * votes > readers, (2 * votes != readers) & (readers >= 2)


def labels_as_reference(scored: Scored, readers: HumanLabels) -> Reference:
    """The labels of the dataset."""
    return Reference("labels of the dataset", scored.targets == 1, scored.label_mask, np.zeros(len(readers.names), dtype=bool))


def majority_as_reference(readers: HumanLabels, names: list[str]) -> Reference:
    """The majority of some readers. Raises UserError where one of them is not in the table."""
    absent = [name for name in names if name not in readers.names]
    if absent:
        raise UserError(
            f"{readers.path} has no reader {listed(absent)}{nearest(absent[0], readers.names)}",
            f"readers of the scored images: {listed(readers.names, 40)}",
        )
    part = np.isin(readers.names, names)
    positive, known = majority(readers.positive[part], readers.known[part])
    _warn_of_ties(readers.known[part], known)
    return Reference(f"majority of {', '.join(names)}", positive, known, part)


def leave_one_out_reference(readers: HumanLabels) -> Reference:
    """For each reader, the majority of all others. Raises UserError if there are fewer than three readers."""
    count = len(readers.names)
    if count < 3:
        raise UserError(f"{readers.path} has {count} readers of the scored images", "--reference leave-one-out needs three")
    found = [majority(np.delete(readers.positive, r, axis=0), np.delete(readers.known, r, axis=0)) for r in range(count)]
    positive, known = (np.stack(one) for one in zip(*found, strict=True))
    _warn_of_ties(np.stack([np.delete(readers.known, r, axis=0).any(axis=0) for r in range(count)]), known)
    return Reference("majority of the other readers", positive, known, np.zeros(count, dtype=bool))


def table_as_reference(labels: HumanLabels, readers: HumanLabels | None) -> Reference:
    """A table of labels, with a warning if it equals the majority of some of the readers."""
    positive, known = labels.positive[0], labels.known[0]
    if readers is None:
        return Reference(str(labels.path), positive, known, np.zeros(0, dtype=bool))
    part = _made_from(positive, known, readers)
    if part.any():
        who = listed(np.array(readers.names)[part], 40)
        warn(f"{labels.path} equals the majority of {who}: they are part of the reference, so their metrics are optimistic")
    return Reference(str(labels.path), positive, known, part)


_MAX_READERS = 12  # with more, combinations of three and five readers are not tried


def _made_from(positive: np.ndarray, known: np.ndarray, readers: HumanLabels) -> np.ndarray:
    """(R,) bool, the smallest odd number of readers whose majority equals the labels everywhere."""
    count = len(readers.names)
    part = np.zeros(count, dtype=bool)
    for size in (1, 3, 5) if count <= _MAX_READERS else (1,):
        for chosen in combinations(range(count), size):
            rows = list(chosen)
            both = known & readers.known[rows].all(axis=0)
            votes = 2 * readers.positive[rows].sum(axis=0) > size
            if both.any() and positive[both].any() and (votes == positive)[both].all():
                part[rows] = True
                return part
    return part


def _warn_of_ties(read: np.ndarray, known: np.ndarray) -> None:
    """Warns of labels without a majority."""
    cells = read.any(axis=0) if read.ndim > known.ndim else read
    without = int((cells & ~known).sum())
    if without:
        warn(f"{without:,} of {int(cells.sum()):,} labels have no majority (a tie, or one reader alone): left out")
