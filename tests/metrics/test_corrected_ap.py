"""The corrected AP: values worked by hand, and against its definition in plain loops."""

import numpy as np
import pytest

from cxrlt_cli.metrics.corrected_ap import corrected_ap, patients_with
from cxrlt_cli.metrics.ranking import average_precision


def one_class(scores: list[float], targets: list[int], patients: list[int]) -> float:
    column = np.array(scores, dtype=np.float32)[:, None]
    known = np.ones(column.shape, dtype=bool)
    return float(corrected_ap(column, np.array(targets)[:, None], known, np.array(patients))[0])


@pytest.mark.parametrize(
    ("scores", "targets", "patients", "value"),
    [
        # N = 2, 4 and TP = 1, 2: AP = 1/2. Without the own patient TP' = 0, 1 and N' = 1, 3: W = (1/4) / (1/2 + 3/4) = 1/5.
        ([4, 3, 2, 1], [0, 1, 0, 1], [0, 1, 2, 3], (1 / 2 + 1 / 5) / 2),
        # The same with both positives of one patient: TP' = 0, so W = 0.
        ([4, 3, 2, 1], [0, 1, 0, 1], [0, 1, 2, 1], 1 / 4),
        # The only positive is the highest: no other patient scores as high, the next highest image of others is no positive.
        ([4, 3, 2], [1, 0, 0], [0, 1, 2], 1 / 2),
        # All images are of one patient: nothing to leave out.
        ([4, 3, 2], [0, 1, 0], [5, 5, 5], 1 / 2),
        # All images are positive.
        ([3, 2, 1], [1, 1, 1], [0, 1, 2], 1.0),
    ],
)
def test_by_hand(scores: list[float], targets: list[int], patients: list[int], value: float) -> None:
    assert one_class(scores, targets, patients) == pytest.approx(value)


def by_definition(scores: np.ndarray, targets: np.ndarray, patients: np.ndarray) -> float:
    positives = np.flatnonzero(targets)
    total = other = 0.0
    for i in positives:
        high = scores >= scores[i]
        elsewhere = high & (patients != patients[i])
        other += (elsewhere & (targets == 1)).sum() / high.sum()
        total += elsewhere.sum() / high.sum()
    ap = average_precision(scores, targets)
    if total:
        return (ap + other / total) / 2
    elsewhere = patients != patients[positives[0]]
    if not elsewhere.any():
        return ap
    return (ap + float(targets[elsewhere & (scores == scores[elsewhere].max())].mean())) / 2


def test_equals_its_definition_with_ties_unknown_labels_and_few_patients() -> None:
    draws = np.random.default_rng(0)
    for case in range(300):
        count = int(draws.integers(2, 25))
        scores = np.round(draws.normal(size=(count, 3)), case % 3).astype(np.float32)
        targets = (draws.random((count, 3)) < 0.25).astype(np.uint8)
        patients, known = draws.integers(0, 6, count), draws.random((count, 3)) < 0.9
        found = corrected_ap(scores, targets, known, patients)
        for c in range(3):
            rows = known[:, c]
            if targets[rows, c].any():
                assert found[c] == pytest.approx(by_definition(scores[rows, c], targets[rows, c], patients[rows]), abs=1e-12)
            else:
                assert np.isnan(found[c])


def test_it_is_nearer_to_the_true_value_than_ap_where_positives_are_few() -> None:
    """A population of 20,000 images, samples of 150 with about 5 positives: AP is 0.05 too high on average."""
    draws = np.random.default_rng(1)
    targets = (draws.random(20_000) < 0.03).astype(np.uint8)
    scores = (draws.normal(size=20_000) + 1.2 * targets).astype(np.float32)
    truth = average_precision(scores, targets)
    rows = draws.integers(0, 20_000, (400, 150))
    rows = rows[targets[rows].any(axis=1)]
    everyone = np.ones((150, 1), dtype=bool)
    pairs = [
        (average_precision(scores[r], targets[r]), corrected_ap(scores[r][:, None], targets[r][:, None], everyone, r)[0])
        for r in rows
    ]
    plain, corrected = np.array(pairs).T - truth
    assert plain.mean() > 0.03
    assert abs(corrected.mean()) < plain.mean() / 2
    assert (corrected**2).mean() < (plain**2).mean()


def test_patients_with_a_positive_are_counted_and_weighted_by_their_images() -> None:
    which = np.array([[1, 0], [1, 0], [1, 0], [0, 0], [1, 0]], dtype=bool)
    count, effective = patients_with(which, np.array(["a", "a", "b", "b", "c"]))
    assert count.tolist() == [3, 0]
    assert effective.tolist() == pytest.approx([16 / 6, 0])  # 2, 1 and 1 images: (2 + 1 + 1)^2 / (4 + 1 + 1)
