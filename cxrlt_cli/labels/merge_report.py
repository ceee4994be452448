"""The summary that `merge` prints."""

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.config.grammar import OF_SOURCES
from cxrlt_cli.console import data, say, shortened, table, warn
from cxrlt_cli.errors import listed
from cxrlt_cli.labels.hierarchy import Implied
from cxrlt_cli.labels.splits import SPLITS

_MOST = 40  # names per line


def report_dataset(dataset: Dataset, fractions: tuple[float, float, float]) -> None:
    """Prints positives and the fraction of unknown labels per class and split; warns of classes and splits without any.

    Args:
        dataset: as written.
        fractions: requested for train, val and test.
    """
    inside = [(dataset.table["split"] == name).to_numpy() for name in SPLITS]
    counts = np.stack([dataset.targets[rows].sum(axis=0, dtype=np.int64) for rows in inside])
    order = np.argsort(-counts.sum(axis=0), kind="stable")
    unknown = [_unknown(dataset.label_mask[rows]) for rows in inside]
    rows = [[dataset.classes[c], *(str(n) for n in counts[:, c]), *(column[c] for column in unknown)] for c in order]
    images = [str(int(rows_in.sum())) for rows_in in inside]
    codes = pd.factorize(dataset.table["patient_id"])[0]
    patients = [str(len(np.unique(codes[rows_in]))) for rows_in in inside]
    header = ["positives", *SPLITS, *(f"unknown in {name}" for name in SPLITS)]
    rows = [list(row) for row in shortened(rows, f"cxrlt info {dataset.path}")]
    data(table(header, [*rows, ["images", *images, "", "", ""], ["patients", *patients, "", "", ""]]))
    nowhere = [dataset.classes[c] for c in order if not counts[:, c].any()]
    if nowhere:
        fewer = "" if dataset.header.label_space == OF_SOURCES else " (--label-space sources has only what the sources label)"
        warn(f"no positive anywhere: {listed(nowhere, _MOST)}{fewer}")
    for index, name in enumerate(SPLITS):
        if fractions[index] and not int(images[index]) and not (dataset.folds and name == "val"):
            warn(f"no patient in {name}, for which --split asks {fractions[index]:.0%}: see the official lists, or --split")
        without = [dataset.classes[c] for c in order if counts[index, c] == 0 and counts[:, c].any() and not dataset.unseen[c]]
        if without and int(images[index]):
            warn(f"no positive in {name}: {listed(without, _MOST)}")
    if dataset.soft is not None:
        say(f"{int(np.isfinite(dataset.soft).sum())} soft targets in training; metrics do not use them")
    say(f"{len(dataset.table)} images, {codes.max() + 1} patients in {dataset.path}")


def _unknown(label_mask: np.ndarray) -> list[str]:
    """(C,) the fraction of unknown labels of each class, as text; empty without images."""
    return [f"{fraction:.1%}" for fraction in (~label_mask).mean(axis=0)] if len(label_mask) else [""] * label_mask.shape[1]


def report_implied(implied: list[Implied]) -> None:
    """Prints the number of labels that the hierarchy set to 1."""
    for entry in implied:
        before = f"{entry.from_absent} were 0, {entry.from_unknown} unknown"
        say(f"hierarchy: {entry.child} is a kind of {entry.parent}: {before}, now 1")
