"""How well a map over an image points at boxes: the pointing game, the part of the map inside, and IoU."""

import numpy as np

Box = tuple[float, float, float, float]  # left, top, right, bottom in px

#: Thresholds of IoU, as parts of a map's peak.
THRESHOLDS = np.arange(0.05, 1.0, 0.05)


def mask_of(boxes: list[Box], size: int, widened: float = 0.0) -> np.ndarray:
    """(size, size) bool: the pixels whose middle lies in a box that is widened by `widened` px on each side.

    A box smaller than a pixel has the pixel in which its middle lies.
    """
    inside = np.zeros((size, size), dtype=bool)
    middles = np.arange(size) + 0.5
    for left, top, right, bottom in boxes:
        across = (middles >= left - widened) & (middles <= right + widened)
        down = (middles >= top - widened) & (middles <= bottom + widened)
        inside |= down[:, None] & across[None, :]
        inside[min(int((top + bottom) / 2), size - 1), min(int((left + right) / 2), size - 1)] = True
    return inside


def hits(values: np.ndarray, inside: np.ndarray) -> bool:
    """The pointing game (Zhang et al., ECCV 2016): whether the highest place of a map lies in the mask.

    Of equally high places the first counts; a map that is even everywhere points at nothing.

    Args:
        values: (S, S) map.
        inside: (S, S) bool.
    """
    return bool(inside.ravel()[int(values.argmax())]) and float(values.max()) > float(values.min())


def part_inside(values: np.ndarray, inside: np.ndarray) -> float:
    """The part of a map's sum that lies in the mask (the energy-based pointing game: Wang et al., CVPR workshops 2020).

    Args:
        values: (S, S) of 0 and more.
        inside: (S, S) bool.

    Returns:
        Within 0 … 1; 0 for a map that is 0 everywhere.
    """
    total = float(values.sum(dtype=np.float64))
    return float(values[inside].sum(dtype=np.float64)) / total if total > 0 else 0.0


def ious(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(T,) intersection over union of the mask and the pixels at or above each of `THRESHOLDS` times the map's peak.

    Args:
        values: (S, S) of 0 and more.
        inside: (S, S) bool.
    """
    peak = float(values.max())
    if not peak > 0:
        return np.zeros(len(THRESHOLDS))
    above = np.sort(values[inside] / peak), np.sort(values.ravel() / peak)
    within, marked = (len(one) - np.searchsorted(one, THRESHOLDS - 1e-9) for one in above)
    found: np.ndarray = within / (marked + int(inside.sum()) - within)
    return found


def patient_interval(values: np.ndarray, patients: np.ndarray, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """95 % interval of a mean: 2.5 and 97.5 percentiles over resamples of the patients, each with all its values.

    Args:
        values: (N,).
        patients: (N,) int, number of each value's patient.
        resamples: how many.
        seed: equal seeds give equal resamples.

    Returns:
        Lower and upper bound; NaN with fewer than five patients.
    """
    names, codes = np.unique(patients, return_inverse=True)
    if len(names) < _LEAST_PATIENTS:
        return float("nan"), float("nan")
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    sums, counts = np.bincount(codes, weights=values), np.bincount(codes)
    low, high = np.quantile((draws @ sums) / (draws @ counts), [0.025, 0.975])
    return float(low), float(high)


_LEAST_PATIENTS = 5
