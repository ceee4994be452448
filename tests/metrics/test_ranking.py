"""AP and AUROC: cases worked by hand, then scikit-learn as the reference over a grid."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrlt_cli.metrics.ranking import auroc, average_precision, mean_of_defined, per_class

EXACT = 1e-12
NAN = float("nan")

BY_HAND = {
    "in turn": ([4, 3, 2, 1], [1, 0, 1, 0], (1 / 1 + 2 / 3) / 2, (2 + 1) / 4),
    "perfect": ([4, 3, 2, 1], [1, 1, 0, 0], 1.0, 1.0),
    "worst": ([4, 3, 2, 1], [0, 0, 1, 1], (1 / 3 + 2 / 4) / 2, 0.0),
    "tie with a negative": ([2, 2, 1], [1, 0, 0], 1 / 2, (1 + 1 / 2) / 2),
    "positives tie": ([3, 2, 2, 1], [0, 1, 1, 0], 2 / 3, 1 / 2),
    "two blocks": ([5, 5, 5, 1, 1], [1, 0, 0, 1, 0], (1 / 3 + 2 / 5) / 2, (2 / 2 + 1 + 1 / 2) / (2 * 3)),
    "all the same": ([7, 7, 7, 7], [1, 0, 0, 0], 1 / 4, 1 / 2),
    "negative zero is zero": ([0.0, -0.0, -1], [1, 0, 0], 1 / 2, (1 + 1 / 2) / 2),
    "single positive, last": ([3, 2, 1], [0, 0, 1], 1 / 3, 0.0),
    "no positive": ([3, 2, 1], [0, 0, 0], NAN, NAN),
    "all positive": ([3, 2, 1], [1, 1, 1], 1.0, NAN),
    "one image": ([3], [1], 1.0, NAN),
    "no image": ([], [], NAN, NAN),
}


@pytest.mark.parametrize("case", BY_HAND.values(), ids=list(BY_HAND))
def test_by_hand(case: tuple[list[float], list[int], float, float]) -> None:
    scores, targets, ap, area = case
    for dtype in (np.uint8, np.float32, bool):
        given = np.array(scores, dtype=np.float64), np.array(targets, dtype=dtype)
        assert average_precision(*given) == pytest.approx(ap, abs=1e-15, nan_ok=True)
        assert auroc(*given) == pytest.approx(area, abs=1e-15, nan_ok=True)


def grid_scores(count: int, levels: int, dtype: type, seed: int) -> np.ndarray:
    """Random scores; `levels` of 0 leaves them continuous, else they tie on that many values."""
    draws = np.random.default_rng(seed)
    scores = draws.normal(0, 4, count) if levels == 0 else draws.integers(0, levels, count) / 7 - 1
    return scores.astype(dtype)


GRID = list(itertools.product((np.float32, np.float64), (0, 1, 2, 5, 300), (2, 3, 10, 97, 2000), (0.001, 0.1, 0.5, 0.99)))


@pytest.mark.parametrize(("dtype", "levels", "count", "share"), GRID)
def test_equals_scikit_learn(dtype: type, levels: int, count: int, share: float) -> None:
    for seed in range(3):
        scores = grid_scores(count, levels, dtype, seed)
        targets = np.random.default_rng(seed + 100).random(count) < share
        targets[seed % count] = True
        assert abs(average_precision(scores, targets) - average_precision_score(targets, scores)) <= EXACT
        if not targets.all():
            assert abs(auroc(scores, targets) - roc_auc_score(targets, scores)) <= EXACT


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extremes_equal_scikit_learn(dtype: type) -> None:
    limits = np.finfo(dtype)
    values = [limits.max, limits.min, limits.tiny, -limits.tiny, limits.eps, 0.0, -0.0, 1.0, 1.0 + limits.eps, -104.0, 88.0]
    for seed in range(20):
        draws = np.random.default_rng(seed)
        scores = draws.choice(np.array(values, dtype=dtype), 200)
        targets = draws.random(200) < 0.3
        with np.errstate(over="ignore", invalid="ignore"):
            assert abs(average_precision(scores, targets) - average_precision_score(targets, scores)) <= EXACT
            assert abs(auroc(scores, targets) - roc_auc_score(targets, scores)) <= EXACT


def made_up(count: int = 500, classes: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draws = np.random.default_rng(4)
    scores = np.round(draws.normal(size=(count, classes)), 1).astype(np.float32)
    targets = (draws.random((count, classes)) < [0.5, 0.2, 0.1, 0.05, 0.3, 0.4]).astype(np.uint8)
    label_mask = draws.random((count, classes)) < [1.0, 0.9, 0.5, 0.9, 0.0, 0.6]
    return scores, targets, label_mask


def test_unknown_labels_are_left_out_class_by_class() -> None:
    scores, targets, label_mask = made_up()
    found = per_class(scores, targets, label_mask)
    for c in range(scores.shape[1]):
        rows = label_mask[:, c]
        assert found.unknown[c] == (~rows).sum()
        assert found.positives[c] == targets[rows, c].sum()
        assert found.negatives[c] == (targets[rows, c] == 0).sum()
        if not rows.any():
            assert np.isnan([found.ap[c], found.auroc[c], found.prevalence[c]]).all()
            continue
        assert abs(found.ap[c] - average_precision_score(targets[rows, c], scores[rows, c])) <= EXACT
        assert abs(found.auroc[c] - roc_auc_score(targets[rows, c], scores[rows, c])) <= EXACT
        assert found.prevalence[c] == targets[rows, c].mean()


def test_what_stands_behind_an_unknown_label_does_not_matter() -> None:
    scores, targets, label_mask = made_up()
    other_scores = np.where(label_mask, scores, 1e9).astype(np.float32)
    other_targets = np.where(label_mask, targets, 255).astype(np.uint8)
    np.testing.assert_array_equal(
        per_class(scores, targets, label_mask).ap, per_class(other_scores, other_targets, label_mask).ap
    )
    np.testing.assert_array_equal(
        per_class(scores, targets, label_mask).auroc, per_class(other_scores, targets, label_mask).auroc
    )


def test_neither_the_order_of_images_nor_the_scale_of_scores_matters() -> None:
    scores, targets, label_mask = made_up()
    order = np.random.default_rng(1).permutation(len(scores))
    found = per_class(scores, targets, label_mask)
    np.testing.assert_array_equal(found.ap, per_class(scores[order], targets[order], label_mask[order]).ap)
    np.testing.assert_array_equal(found.ap, per_class(np.exp(scores.astype(np.float64)), targets, label_mask).ap)
    np.testing.assert_array_equal(found.auroc, per_class(3 * scores - 2, targets, label_mask).auroc)


def test_arrays_in_any_layout_and_the_input_untouched() -> None:
    scores, targets, label_mask = made_up()
    kept = scores.copy(), targets.copy(), label_mask.copy()
    strided = per_class(np.asfortranarray(scores), np.asfortranarray(targets), np.asfortranarray(label_mask))
    np.testing.assert_array_equal(per_class(scores, targets, label_mask).ap, strided.ap)
    for before, after in zip(kept, (scores, targets, label_mask), strict=True):
        np.testing.assert_array_equal(before, after)


def test_no_images_and_no_classes() -> None:
    found = per_class(np.empty((0, 2)), np.empty((0, 2)), np.empty((0, 2), dtype=bool))
    assert np.isnan(found.ap).all()
    assert found.positives.tolist() == [0, 0]
    assert per_class(np.empty((3, 0)), np.empty((3, 0)), np.empty((3, 0), dtype=bool)).ap.shape == (0,)


def test_undefined_classes_are_left_out_of_the_mean() -> None:
    assert mean_of_defined(np.array([0.25, NAN, 0.75])) == 0.5
    assert np.isnan(mean_of_defined(np.array([NAN, NAN])))
    assert np.isnan(mean_of_defined(np.array([])))


@pytest.mark.parametrize(
    ("scores", "targets", "says"),
    [
        (np.zeros(3), np.zeros(4), "differ in shape"),
        (np.zeros((3, 1)), np.zeros((3, 1)), r"\(N,\)"),
        (np.array([0.0, NAN]), np.zeros(2), "1 scores are not finite"),
        (np.array([0.0, np.inf]), np.zeros(2), "1 scores are not finite"),
        (np.zeros(2), np.array([0, -1]), "1 or 0"),
        (np.zeros(2), np.array([0.0, NAN]), "1 or 0"),
    ],
)
def test_what_cannot_be_ranked_is_refused(scores: np.ndarray, targets: np.ndarray, says: str) -> None:
    for metric in (average_precision, auroc):
        with pytest.raises(ValueError, match=says):
            metric(scores, targets)


@pytest.mark.parametrize(
    ("scores", "targets", "label_mask", "says"),
    [
        (np.zeros(3), np.zeros(3), np.ones(3, dtype=bool), r"\(N, C\)"),
        (np.zeros((3, 2)), np.zeros((3, 1)), np.ones((3, 2), dtype=bool), "differ in shape"),
        (np.zeros((3, 2)), np.zeros((3, 2)), np.ones((2, 3), dtype=bool), "differ in shape"),
        (np.zeros((3, 2)), np.zeros((3, 2)), np.ones((3, 2)), "label_mask is bool"),
        (np.full((3, 2), np.nan), np.zeros((3, 2)), np.ones((3, 2), dtype=bool), "6 scores are not finite"),
        (np.zeros((3, 2)), np.full((3, 2), 2), np.ones((3, 2), dtype=bool), "1 or 0"),
    ],
)
def test_matrices_that_do_not_fit_are_refused(
    scores: np.ndarray, targets: np.ndarray, label_mask: np.ndarray, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        per_class(scores, targets, label_mask)
