"""Readers, and the panel of readers, compared with the network: metrics of the sample and of resamples of the patients."""

from dataclasses import dataclass

import numpy as np

from cxrlt_cli.metrics.resampling import over_resamples
from cxrlt_cli.readers.label_table import HumanLabels
from cxrlt_cli.readers.reader_points import FIGURES, ReaderPoints, reader_points
from cxrlt_cli.readers.reference import Reference, majority
from cxrlt_cli.scores.labelled import Scored

#: Columns of `Compared.values`: `FIGURES`, and the differences network - reader at the operating point of the reader.
COLUMNS = (*FIGURES, "sensitivity_difference", "specificity_difference")
PANEL = "panel"


@dataclass(frozen=True)
class Contender:
    """A reader, or the panel: the majority of several readers.

    Attributes:
        name: as in the table.
        in_reference: whether the reference was made from this reader.
        positive: (N, C) bool, called positive.
        known: (N, C) bool, read.
        reference: (N, C) bool, the reference labels.
        reference_known: (N, C) bool, where the reference has a label.
    """

    name: str
    in_reference: bool
    positive: np.ndarray
    known: np.ndarray
    reference: np.ndarray
    reference_known: np.ndarray


@dataclass(frozen=True)
class Compared:
    """G contenders on C classes.

    Attributes:
        contenders: their names and calls.
        points: G lists of C; None where a class has no image.
        values: (G, C, len(COLUMNS)) in the sample, NaN where undefined.
        resampled: (resamples, G, C, len(COLUMNS)), the same resamples of the patients for all.
    """

    contenders: list[Contender]
    points: list[list[ReaderPoints | None]]
    values: np.ndarray
    resampled: np.ndarray


def contenders(readers: HumanLabels, reference: Reference) -> list[Contender]:
    """Every reader, and the panel: the majority of the readers outside of the reference, where these are three or more.

    Two readers have a majority only where they agree, on the easy images. With leave-one-out there is no panel: it would be
    compared with itself.
    """
    found = [
        Contender(name, bool(reference.in_reference[r]), readers.positive[r], readers.known[r], *reference.of(r))
        for r, name in enumerate(readers.names)
    ]
    outside = ~reference.in_reference
    if reference.positive.ndim == 2 and outside.sum() >= 3:
        called, known = majority(readers.positive[outside], readers.known[outside])
        found.append(Contender(PANEL, False, called, known, reference.positive, reference.known))
    return found


def compare_contenders(scored: Scored, found: list[Contender], resamples: int, seed: int) -> Compared:
    """Metrics of all contenders, and of the network at their operating points.

    Args:
        scored: N images, C classes.
        found: the contenders.
        resamples: of the patients.
        seed: of the resamples.
    """
    points = [[_points(scored, one, c) for c in range(len(scored.classes))] for one in found]
    patients = int(scored.patients.max()) + 1

    def figures(drawn: np.ndarray) -> np.ndarray:
        values = np.full((len(found), len(scored.classes), drawn.shape[1], len(COLUMNS)), np.nan)
        for g, of_one in enumerate(points):
            for c, point in enumerate(of_one):
                if point is not None:
                    values[g, c, :, : len(FIGURES)] = point.figures(drawn)
        values[..., len(FIGURES)] = values[..., 4] - values[..., 0]
        values[..., len(FIGURES) + 1] = values[..., 5] - values[..., 1]
        return np.moveaxis(values, 2, 0)

    values = figures(np.ones((patients, 1), dtype=np.float32))[0]
    return Compared(found, points, values, over_resamples(patients, figures, resamples, seed))


def _points(scored: Scored, one: Contender, c: int) -> ReaderPoints | None:
    rows = one.known[:, c] & one.reference_known[:, c]
    if not rows.any():
        return None
    return reader_points(scored.logits[rows, c], one.reference[rows, c], one.positive[rows, c], scored.patients[rows])
