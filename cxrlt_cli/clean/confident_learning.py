"""Labels that out-of-sample scores contradict: confident learning (Northcutt, Jiang & Chuang, JAIR 2021), one class at a time.

A class is a problem of two sides, present and absent. The threshold of a side is its self-confidence: the mean probability of
the side among the images that are labelled so. A label is contradicted where the other side reaches its threshold, and is the
more probable one (or the only one of both that reaches it).
"""

from dataclasses import dataclass

import numpy as np

from cxrlt_cli.metrics.calibration import sigmoid
from cxrlt_cli.metrics.calibration_fits import bias_for_mean, fit_platt

_CLOSE = 1e-6  # probabilities nearer than this count as equal, as in cleanlab
_UNREACHED = 2.0  # the threshold of a side that no image has
_LEAST_PATIENTS = 5  # with a side, below which a class's scores are shifted, not scaled


@dataclass(frozen=True)
class RankedCells:
    """Cells (an image and a class) with a known label, the most suspicious label first.

    Attributes:
        rows: (M,) int64 image of each cell.
        columns: (M,) int64 class of each cell.
        scores: (M,) float64 within 0 … 1: the probability of the label that was given. Low means suspicious.
        contradicted: (M,) bool; all contradicted cells come first.
    """

    rows: np.ndarray
    columns: np.ndarray
    scores: np.ndarray
    contradicted: np.ndarray


def confident_thresholds(probabilities: np.ndarray, targets: np.ndarray, label_mask: np.ndarray) -> np.ndarray:
    """(C, 2) thresholds of absent and of present: the mean probability of a side among the labels of that side.

    Args:
        probabilities: (N, C) within 0 … 1 that the class is present.
        targets: (N, C) 1 or 0.
        label_mask: (N, C) bool, True where the label is known.

    Returns:
        Within 2e-6 … 1; 2, which no probability reaches, for a side that no image has.
    """
    positive, negative = label_mask & (targets == 1), label_mask & (targets == 0)
    found = np.full((targets.shape[1], 2), _UNREACHED)
    for side, (members, probability) in enumerate(((negative, 1 - probabilities), (positive, probabilities))):
        counts = members.sum(axis=0)
        means = np.where(members, probability, 0.0).sum(axis=0) / np.maximum(counts, 1)
        found[:, side] = np.where(counts > 0, np.maximum(means, 2 * _CLOSE), _UNREACHED)
    return found


def contradicted(probabilities: np.ndarray, targets: np.ndarray, label_mask: np.ndarray) -> np.ndarray:
    """(N, C) bool: known labels off the diagonal of their class's confident joint, whose other side is the more probable.

    Equal to cleanlab 2.9's `find_multilabel_issues_per_class(filter_by="confident_learning")` where all labels are known.

    Args:
        probabilities: (N, C) within 0 … 1 that the class is present.
        targets: (N, C) 1 or 0.
        label_mask: (N, C) bool, True where the label is known.
    """
    thresholds = confident_thresholds(probabilities, targets, label_mask)
    present = probabilities >= thresholds[:, 1] - _CLOSE
    absent = 1 - probabilities >= thresholds[:, 0] - _CLOSE
    guess = np.where(present & absent, probabilities > 1 - probabilities, present)
    given = targets == 1
    of_given = np.where(given, probabilities, 1 - probabilities)
    found: np.ndarray = label_mask & (present | absent) & (guess != given) & (1 - of_given > of_given + _CLOSE)
    return found


def rank_cells(probabilities: np.ndarray, targets: np.ndarray, label_mask: np.ndarray) -> RankedCells:
    """All known labels, the most suspicious first.

    Contradicted labels come first, then the others, each by self-confidence: the probability of the given label, ascending.
    The first part is cleanlab's ranking `return_indices_ranked_by="self_confidence"`; cleanlab ends there.

    Args:
        probabilities: (N, C) within 0 … 1 that the class is present.
        targets: (N, C) 1 or 0.
        label_mask: (N, C) bool, True where the label is known.
    """
    wrong = contradicted(probabilities, targets, label_mask)
    rows, columns = np.nonzero(label_mask)
    p = probabilities[rows, columns]
    scores = np.where(targets[rows, columns] == 1, p, 1 - p)
    order = np.lexsort((scores, ~wrong[rows, columns]))
    return RankedCells(rows[order], columns[order], scores[order], wrong[rows, columns][order])


def probabilities_on_one_scale(
    logits: np.ndarray, targets: np.ndarray, label_mask: np.ndarray, patients: np.ndarray
) -> np.ndarray:
    """(N, C) float64 probabilities that compare across classes: each class's logits are fitted to its given labels (Platt).

    Training with class weights, asymmetric losses or balanced sampling moves the probabilities of each class by another
    amount. The fit takes that out; the order of images within a class stays. A class with fewer than five patients of either
    side is only shifted to its fraction of positives; one without both sides stays as it is.

    Args:
        logits: (N, C) finite.
        targets: (N, C) 1 or 0.
        label_mask: (N, C) bool, True where the label is known.
        patients: (N,) int, number of each image's patient.
    """
    found = logits.astype(np.float64)
    for c in range(logits.shape[1]):
        known = label_mask[:, c]
        x, y = found[known, c], targets[known, c]
        fewest = min((len(np.unique(patients[known][y == side])) for side in (0, 1)), default=0)
        if fewest >= _LEAST_PATIENTS:
            slope, bias = fit_platt(x, y)
        elif fewest:
            slope, bias = 1.0, bias_for_mean(x, float(y.mean()))
        else:
            slope, bias = 1.0, 0.0
        found[:, c] = slope * found[:, c] + bias
    return sigmoid(found)
