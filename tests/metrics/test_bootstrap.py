"""The bootstrap is resampling rows and calling scikit-learn, and nothing else: held against exactly that."""

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrlt_cli.metrics.bootstrap import resample
from cxrlt_cli.metrics.ranking import per_class
from cxrlt_cli.metrics.resampling import Bags, multiplicities

EXACT = 1e-12
PATIENTS, IMAGES, SHARES = 90, 240, [0.5, 0.2, 0.04, 0.01, 0.3, 0.0]


def made_up(levels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two models' scores on some levels (0 is continuous), labels of a long tail, a fifth unknown, uneven patients."""
    draws = np.random.default_rng(seed)
    patients = draws.integers(0, PATIENTS, IMAGES) ** 2 // 60
    targets = (draws.random((IMAGES, len(SHARES))) < SHARES).astype(np.uint8)
    targets[:2, 3] = 1
    scores = draws.normal(size=(2, *targets.shape)) + targets * np.array([1.0, 0.3]).reshape(2, 1, 1)
    label_mask = draws.random(targets.shape) < [1.0, 0.8, 0.8, 1.0, 0.8, 0.8]
    return (np.round(scores * levels) if levels else scores).astype(np.float32), targets, label_mask, patients


def by_rows(scores: np.ndarray, targets: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """scikit-learn on repeated rows of one class, NaN where it is undefined."""
    truth = targets[rows]
    if not truth.any():
        return float("nan"), float("nan")
    area = float("nan") if truth.all() else float(roc_auc_score(truth, scores[rows]))
    return float(average_precision_score(truth, scores[rows])), area


@pytest.mark.parametrize("levels", [0, 1, 10])
@config_context(assume_finite=True, skip_parameter_validation=True)  # scikit-learn's checks take longer than its metrics
def test_equals_resampling_rows_and_scikit_learn(levels: int) -> None:
    scores, targets, label_mask, patients = made_up(levels)
    found = resample(scores, targets, label_mask, patients, resamples=200, seed=5)
    assert found.ap.shape == found.auroc.shape == (2, 200, len(SHARES))
    names, codes = np.unique(patients, return_inverse=True)
    assert found.positives.shape == found.negatives.shape == found.prevalence.shape == (200, len(SHARES))
    compared = {*range(0, 200, 11), 31, 32, 63, 64, 199}  # resamples are computed in blocks of 32
    undefined = 0
    for r in range(200):
        rows = np.repeat(np.arange(IMAGES), multiplicities(len(names), 5, r)[codes])
        for c in range(len(SHARES)):
            known = rows[label_mask[rows, c]]
            truth = targets[known, c]
            assert (found.positives[r, c], found.negatives[r, c]) == (truth.sum(), (1 - truth).sum())
            assert (np.isnan(found.ap[:, r, c]) == (not truth.any())).all()
            undefined += not truth.any()
            for model in range(2) if r in compared else ():
                wanted = by_rows(scores[model, :, c], targets[:, c], known)
                assert (found.ap[model, r, c], found.auroc[model, r, c]) == pytest.approx(wanted, abs=EXACT, nan_ok=True)
    assert 200 < undefined < 2 * 200  # the last class always, another one in some resamples


def test_a_class_without_a_label_and_one_of_positives_alone() -> None:
    scores, targets, label_mask, patients = made_up(0)
    label_mask[:, 0] = False
    targets[:, 1] = 1
    found = resample(scores, targets, label_mask, patients, resamples=3)
    assert np.isnan(found.ap[:, :, 0]).all()
    assert np.isnan(found.auroc[:, :, :2]).all()
    assert (found.ap[:, :, 1] == 1).all()


def test_many_positives_pass_in_runs_of_many_steps() -> None:
    """More distinct scores of positives than there are runs, and a number that fills no last step."""
    draws = np.random.default_rng(1)
    targets, patients = (draws.random((3000, 1)) < 0.4).astype(np.uint8), np.arange(3000)
    scores = draws.normal(size=(1, 3000, 1)).astype(np.float32)
    found = resample(scores, targets, np.ones_like(targets, dtype=bool), patients, resamples=40)
    for r in (0, 31, 32, 39):
        rows = np.repeat(np.arange(3000), multiplicities(3000, 0, r))
        wanted = by_rows(scores[0, :, 0], targets[:, 0], rows)
        assert (found.ap[0, r, 0], found.auroc[0, r, 0]) == pytest.approx(wanted, abs=EXACT)


@pytest.mark.parametrize("values", [None, np.linspace(-1, 1, 50)])
def test_torch_and_scipy_sum_alike(values: np.ndarray | None) -> None:
    """Groups of 0, 1 and more images, some of them overlapping; the last patients have no image in any group."""
    draws = np.random.default_rng(2)
    codes, weights = draws.integers(20, size=50), draws.integers(4, size=(24, 32)).astype(np.float32)
    starts, lengths = np.array([0, 7, 7, 8, 5, 0]), np.array([7, 0, 1, 42, 10, 0])
    by_torch, by_scipy = (Bags(codes, starts, lengths, values, large).sums(weights) for large in (True, False))
    factors = np.ones(50) if values is None else values
    for g, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        rows = slice(start, start + length)
        wanted = (weights[codes[rows]] * factors[rows, None]).sum(axis=0)
        assert by_torch[g] == pytest.approx(wanted, abs=0 if values is None else 1e-5)
        assert by_scipy[g] == pytest.approx(wanted, abs=0 if values is None else 1e-5)
    assert by_torch.dtype == by_scipy.dtype == np.float32


def test_resamples_are_paired_reproducible_and_independent_of_number_and_threads() -> None:
    scores, targets, label_mask, patients = made_up(3)
    twice = resample(np.stack([scores[0], scores[0]]), targets, label_mask, patients, resamples=40)
    assert np.array_equal(twice.ap[0], twice.ap[1], equal_nan=True)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        longer = resample(scores[:1], targets, label_mask, patients, resamples=70)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(longer.ap[0, :40], twice.ap[0], equal_nan=True)
    other = resample(scores[:1], targets, label_mask, patients, resamples=40, seed=1)
    assert not np.array_equal(other.ap[0, :, 0], twice.ap[0, :, 0])


def test_the_mean_over_resamples_is_near_the_figure_itself() -> None:
    scores, targets, label_mask, patients = made_up(0)
    found = resample(scores, targets, label_mask, patients, resamples=500)
    itself = per_class(scores[0], targets, label_mask)
    assert np.abs(found.auroc[0].mean(axis=0) - itself.auroc)[:2].max() < 0.01


def test_images_of_a_patient_are_drawn_together() -> None:
    """One patient has all positives: AP is undefined in the resamples without them, and never anything between."""
    scores = np.array([[[4.0], [3.0], [2.0], [1.0]]])
    targets, patients = np.array([[1], [1], [0], [0]]), np.array(["a", "a", "b", "c"], dtype=object)
    found = resample(scores, targets, np.ones_like(targets, dtype=bool), patients, resamples=100)
    assert set(found.ap[0, ~np.isnan(found.ap[0, :, 0]), 0]) == {1.0}
    absent = [multiplicities(3, 0, r)[0] == 0 for r in range(100)]
    assert np.isnan(found.ap[0, :, 0]).tolist() == absent


def test_bad_arrays() -> None:
    scores, targets, label_mask, patients = made_up(0)
    with pytest.raises(ValueError, match=r"\(M, N, C\)"):
        resample(scores[0], targets, label_mask, patients)
    with pytest.raises(ValueError, match="patients"):
        resample(scores, targets, label_mask, patients[:-1])
    with pytest.raises(ValueError, match="differ in shape"):
        resample(scores, targets[:, :-1], label_mask, patients)
    with pytest.raises(ValueError, match="not finite"):
        resample(np.full_like(scores, np.inf), targets, label_mask, patients)
