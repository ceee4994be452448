"""Average precision of few positives is too high on average; here most of that bias is taken out.

Precision at a positive counts the positive itself, and all of its patient's other positives, among the images scored as high.
With few positives this alone lifts it: the only positive of a class has a precision of 1/rank, however poor the scorer. Without
the positive's own patient, precision at the same threshold is that of other patients' images, which is too low by about as
much. The corrected AP is the mean of the two:

    corrected = (AP + W) / 2        W = sum of TP'/N over positives / sum of N'/N over positives

N and TP are the images and the positives scored as high as a positive or higher, N' and TP' those of them that are not of its
patient. Where all N' are 0, so that no other patient scores as high as any positive, W is the precision at the highest score
of other patients. With many positives W, AP and the corrected AP agree.
"""

import numpy as np

from cxrlt_cli.metrics.ranking import checked


def corrected_ap(scores: np.ndarray, targets: np.ndarray, label_mask: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """(C,) corrected AP of every class, within 0 … 1, over the images whose label of it is known; NaN without a positive.

    Args:
        scores: (N, C) finite, higher means more likely.
        targets: (N, C) 1 or 0, or bool; ignored where `label_mask` is false.
        label_mask: (N, C) bool.
        patients: (N,) ids.

    Raises:
        ValueError: other shapes, a score that is not finite, or a known target that is neither 1 nor 0.
    """
    positive = checked(scores, targets, label_mask)
    if scores.ndim != 2 or len(patients) != len(scores):
        raise ValueError(f"scores are (N, C), not {scores.shape}, and patients {patients.shape} are (N,)")
    codes = np.unique(patients, return_inverse=True)[1]
    values = []
    for c in range(scores.shape[1]):
        rows = np.flatnonzero(label_mask[:, c])
        values.append(_corrected(scores[rows, c], positive[rows, c], codes[rows]))
    return np.array(values, dtype=float)


def patients_with(which: np.ndarray, patients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many patients have images of a kind, and how many that comes to if each has as many.

    Args:
        which: (N, C) bool, the images, such as the positives of each class.
        patients: (N,) ids.

    Returns:
        (C,) int64 patients, and (C,) float64 effective number (sum of h)^2 / sum of h^2, h being a patient's images.
    """
    codes = np.unique(patients, return_inverse=True)[1]
    images = [np.bincount(codes[column]).astype(float) for column in which.T]
    count = np.array([np.count_nonzero(one) for one in images], dtype=np.int64)
    return count, np.array([one.sum() ** 2 / max((one**2).sum(), 1) for one in images], dtype=float)


def _corrected(scores: np.ndarray, positive: np.ndarray, codes: np.ndarray) -> float:
    if not positive.any():
        return float("nan")
    ordered, of_positives = np.sort(scores), np.sort(scores[positive])
    at, own_images, own_positives = _own(scores, positive, codes)
    images = len(ordered) - np.searchsorted(ordered, at, "left")
    positives = len(of_positives) - np.searchsorted(of_positives, at, "left")
    ap = (positives / images).mean()
    others, other_positives = images - own_images, positives - own_positives
    weight = (others / images).sum()
    if weight:
        return float((ap + (other_positives / images).sum() / weight) / 2)
    patient = codes[np.flatnonzero(positive)[0]]  # no other patient scores as high: all positives are this one's
    elsewhere = codes != patient
    if not elsewhere.any():
        return float(ap)
    top = elsewhere & (scores == scores[elsewhere].max())
    return float((ap + positive[top].mean()) / 2)


def _own(scores: np.ndarray, positive: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each positive: its score, and its patient's images and positives scored as high or higher; (P,) each."""
    of_positive_patients = np.zeros(codes.max() + 1, dtype=bool)
    of_positive_patients[codes[positive]] = True
    rows = np.flatnonzero(of_positive_patients[codes])
    rows = rows[np.lexsort((-scores[rows], codes[rows]))]  # each patient's images together, the highest score first
    score, code, truth = scores[rows], codes[rows], positive[rows]
    new_patient = np.append(True, code[1:] != code[:-1])
    new_score = new_patient | np.append(True, score[1:] != score[:-1])
    begins = np.flatnonzero(new_patient)[np.cumsum(new_patient) - 1]
    ends = np.append(np.flatnonzero(new_score)[1:], len(rows))[np.cumsum(new_score) - 1]  # after the last that ties
    through = np.append(0, np.cumsum(truth))
    return score[truth], (ends - begins)[truth], (through[ends] - through[begins])[truth]
