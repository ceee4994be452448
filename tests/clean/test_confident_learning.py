"""Confident learning: values worked out by hand, and cleanlab's own where it is installed."""

import numpy as np
import pytest

from cxrlt_cli.clean.confident_learning import (
    confident_thresholds,
    contradicted,
    probabilities_on_one_scale,
    rank_cells,
)

#: One class: the mean of the positives is (0.9 + 0.8 + 0.1) / 3 = 0.6, of the negatives 1 - (0.1 + 0.2 + 0.7 + 0.4) / 4 = 0.65.
P = np.array([[0.9], [0.8], [0.1], [0.1], [0.2], [0.7], [0.4]])
Y = np.array([[1], [1], [1], [0], [0], [0], [0]], dtype=np.uint8)
ALL = np.ones(Y.shape, dtype=bool)


def _noisy(seed: int, images: int = 400, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Scores that know the truth, and labels of which a tenth is wrong; the last classes are rare."""
    draws = np.random.default_rng(seed)
    truth = draws.random((images, classes)) < np.geomspace(0.4, 0.01, classes)
    probabilities = 1 / (1 + np.exp(-draws.normal(np.where(truth, 1.5, -2.5), 1.2)))
    return probabilities, (truth ^ (draws.random(truth.shape) < 0.1)).astype(np.uint8)


def test_thresholds_and_contradicted_labels_by_hand() -> None:
    assert confident_thresholds(P, Y, ALL)[0] == pytest.approx([0.65, 0.6])
    assert np.flatnonzero(contradicted(P, Y, ALL)).tolist() == [2, 5], "0.9 of absent reaches 0.65, 0.7 of present reaches 0.6"
    ranked = rank_cells(P, Y, ALL)
    assert ranked.rows.tolist() == [2, 5, 6, 1, 4, 0, 3], "0.1, 0.3, then 0.6, 0.8 (twice), 0.9 (twice)"
    assert ranked.scores == pytest.approx([0.1, 0.3, 0.6, 0.8, 0.8, 0.9, 0.9])
    assert ranked.contradicted.tolist() == [True, True] + [False] * 5


def test_a_label_near_the_middle_is_not_contradicted() -> None:
    p = np.array([[0.45], [0.35], [0.4], [0.05], [0.1]])
    y = np.array([[1], [1], [0], [0], [0]])
    assert not contradicted(p, y, np.ones((5, 1), bool)).any(), "0.4 reaches the threshold of present, but absent has 0.6"


def test_unknown_labels_change_nothing() -> None:
    p, y = _noisy(1)
    mask = np.random.default_rng(2).random(p.shape) < 0.7
    other = np.where(mask, y, 1 - y)
    one, two = rank_cells(p, y, mask), rank_cells(p, other, mask)
    assert len(one.rows) == mask.sum()
    assert (one.rows == two.rows).all()
    assert (one.columns == two.columns).all()
    np.testing.assert_array_equal(one.scores, two.scores)


def test_a_class_without_a_positive_has_no_contradiction() -> None:
    p, y = _noisy(3)
    y[:, 1] = 0
    assert confident_thresholds(p, y, np.ones(y.shape, bool))[1, 1] == 2
    assert not contradicted(p, y, np.ones(y.shape, bool))[:, 1].any()


#: `find_multilabel_issues_per_class(labels, p, filter_by="confident_learning", return_indices_ranked_by="self_confidence")` of
#: cleanlab 2.9.0 for `_noisy(0, 40, 3)`.
CLEANLAB = [[30, 34, 16], [], [1, 26, 8, 4, 33]]


def test_the_ranking_of_cleanlab_as_it_was_written_down() -> None:
    p, y = _noisy(0, 40, 3)
    ranked = rank_cells(p, y, np.ones(y.shape, bool))
    assert [ranked.rows[ranked.contradicted & (ranked.columns == c)].tolist() for c in range(3)] == CLEANLAB


@pytest.mark.parametrize("seed", range(5))
def test_the_ranking_of_cleanlab(seed: int) -> None:
    cleanlab = pytest.importorskip("cleanlab.multilabel_classification.filter", reason="pip install cleanlab")
    p, y = _noisy(seed)
    y[:, 4] = 0 if seed == 3 else y[:, 4]
    labels = [np.flatnonzero(row).tolist() for row in y]
    options = {"filter_by": "confident_learning", "n_jobs": 1}
    theirs, *_ = cleanlab.find_multilabel_issues_per_class(labels, p, return_indices_ranked_by="self_confidence", **options)
    mask = np.ones(y.shape, bool)
    assert (contradicted(p, y, mask) == cleanlab.find_multilabel_issues_per_class(labels, p, **options)).all()
    ranked = rank_cells(p, y, mask)
    for c in range(y.shape[1]):
        assert ranked.rows[ranked.contradicted & (ranked.columns == c)].tolist() == theirs[c].tolist()
    images = cleanlab.find_label_issues(labels, p, return_indices_ranked_by="self_confidence", **options)
    assert set(images.tolist()) == set(ranked.rows[ranked.contradicted].tolist())


def test_one_scale_takes_class_weights_out() -> None:
    p, y = _noisy(5, classes=4)
    mask, patients = np.ones(y.shape, bool), np.arange(len(y))
    logits = np.log(p / (1 - p))
    plain = probabilities_on_one_scale(logits, y, mask, patients)
    weighted = probabilities_on_one_scale(2 * logits + [3, -2, 1, 4], y, mask, patients)
    assert np.allclose(plain, weighted, atol=1e-6)
    assert np.allclose(plain.mean(axis=0), y.mean(axis=0), atol=1e-6)


def test_a_rare_class_is_shifted_only() -> None:
    draws = np.random.default_rng(0)
    logits = draws.normal(size=(100, 2))
    y = np.zeros((100, 2), dtype=np.uint8)
    y[np.argsort(-logits[:, 0])[:3], 0] = 1  # separable: a slope would grow without bound
    found = probabilities_on_one_scale(logits, y, np.ones(y.shape, bool), np.arange(100))
    assert found[:, 0].mean() == pytest.approx(0.03)
    shifted = np.log(found / (1 - found)) - logits
    assert np.ptp(shifted[:, 0]) < 1e-9
    assert np.allclose(shifted[:, 1], 0), "without a positive there is nothing to fit"
