"""A reader's point and the network's curve at it: by hand, against an independent implementation, and how often p is small."""

import numpy as np
import pytest
from scipy.stats import chi2, norm
from sklearn.metrics import cohen_kappa_score, precision_score, recall_score, roc_curve

from cxrlt_cli.readers.reader_points import FIGURES, ReaderPoints, network_degrees, reader_points

EXACT = 1e-12


def figures(points: ReaderPoints, weights: np.ndarray | None = None) -> dict[str, float]:
    every = np.ones((points.patients.max() + 1, 1)) if weights is None else weights
    return dict(zip(FIGURES, points.figures(every)[0].tolist(), strict=True))


def test_by_hand() -> None:
    """Scores 6 ... 1 of + - + - - +; the reader calls the first two."""
    positive = np.array([1, 0, 1, 0, 0, 1], dtype=bool)
    called = np.array([1, 1, 0, 0, 0, 0], dtype=bool)
    found = figures(reader_points(np.arange(6.0)[::-1], positive, called, np.arange(6)))
    assert found["sensitivity"] == pytest.approx(1 / 3)
    assert found["specificity"] == pytest.approx(2 / 3)
    assert found["ppv"] == pytest.approx(1 / 2)
    assert found["kappa"] == pytest.approx(0, abs=EXACT)  # 3 of 6 agree, by chance (2 3 + 4 3) / 36 would
    # one false positive: from the second negative down to just above the fourth image, with 1 to 2 of 3 positives
    assert found["network_sensitivity"] == pytest.approx(1.5 / 3)
    # one of three positives: from the first image on, with 0 to 1 of 3 false positives
    assert found["network_specificity"] == pytest.approx(1 - 0.5 / 3)


def drawn(seed: int, images: int = 90) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores on few levels, so that they tie, labels, calls and patients of three images."""
    draws = np.random.default_rng(seed)
    positive = draws.random(images) < 0.3
    scores = np.round(draws.normal(size=images) + positive, 1)
    return scores, positive, draws.normal(size=images) + positive > 0.7, np.arange(images) // 3


def middle(x: np.ndarray, y: np.ndarray, at: float) -> float:
    """Height of a curve of points; of a vertical step its middle."""
    on = np.flatnonzero(np.abs(x - at) < EXACT)
    return float((y[on].min() + y[on].max()) / 2) if len(on) else float(np.interp(at, x, y))


@pytest.mark.parametrize("seed", range(6))
def test_equal_to_scikit_learn(seed: int) -> None:
    scores, positive, called, patients = drawn(seed)
    found = figures(reader_points(scores, positive, called, patients))
    x, y, _ = roc_curve(positive, scores, drop_intermediate=False)
    assert found["sensitivity"] == pytest.approx(recall_score(positive, called), abs=EXACT)
    assert found["specificity"] == pytest.approx(recall_score(~positive, ~called), abs=EXACT)
    assert found["ppv"] == pytest.approx(precision_score(positive, called), abs=EXACT)
    assert found["kappa"] == pytest.approx(cohen_kappa_score(positive, called), abs=EXACT)
    assert found["network_sensitivity"] == pytest.approx(middle(x, y, 1 - found["specificity"]), abs=EXACT)
    assert found["network_specificity"] == pytest.approx(1 - middle(y, x, found["sensitivity"]), abs=EXACT)


def test_a_weight_is_a_repetition() -> None:
    scores, positive, called, patients = drawn(1)
    weights = np.random.default_rng(0).integers(0, 4, size=30)
    rows = np.repeat(np.arange(90), weights[patients])
    again = reader_points(scores[rows], positive[rows], called[rows], np.arange(len(rows)))
    found = figures(reader_points(scores, positive, called, patients), weights[:, None])
    assert found == pytest.approx(figures(again), abs=EXACT)


def test_undefined_without_positives_or_negatives() -> None:
    scores, _, called, patients = drawn(2)
    found = figures(reader_points(scores, np.zeros(90, dtype=bool), called, patients))
    assert {name for name, value in found.items() if np.isnan(value)} == {
        "sensitivity", "network_sensitivity", "network_specificity",
    }  # fmt: skip
    assert np.isnan(reader_points(scores, np.zeros(90, dtype=bool), called, patients).on_the_curve_p())
    with pytest.raises(ValueError, match="finite"):
        reader_points(np.full(90, np.nan), called, called, patients)


def test_p_is_mcnemars_at_the_best_threshold() -> None:
    """Every threshold tried in turn, patient by patient."""
    for seed in range(4):
        scores, positive, called, patients = drawn(seed)
        least = np.inf
        for threshold in [np.inf, *np.unique(scores)]:
            total = 0.0
            for kind in (positive, ~positive):
                d = [((scores >= threshold)[rows & kind].astype(int) - called[rows & kind]).sum() for rows in
                     (patients == one for one in range(30))]  # fmt: skip
                total += np.sum(d) ** 2 / max(np.sum(np.square(d)), 1)
            least = min(least, total)
        found = reader_points(scores, positive, called, patients).on_the_curve_p()
        assert found == pytest.approx(chi2.sf(least, 1), abs=1e-10)


def readers_on_the_curve(draws: np.random.Generator, positives: int, negatives: int, behind: float = 0.0) -> ReaderPoints:
    """Binormal scores of network and reader, correlated; `behind` is by how much the network separates better."""
    positive = np.arange(positives + negatives) < positives
    case, own, reader = draws.normal(size=(3, len(positive)))
    network = 0.6 * case + 0.8 * own + 1.5 * positive
    called = 0.6 * case + 0.8 * reader + (1.5 - behind) * positive > norm.isf(0.1)
    return reader_points(network, positive, called, np.arange(len(positive)))


@pytest.mark.parametrize(("positives", "negatives"), [(6, 140), (20, 130), (50, 100)])
def test_p_keeps_its_level(positives: int, negatives: int) -> None:
    draws = np.random.default_rng(0)
    p = np.array([readers_on_the_curve(draws, positives, negatives).on_the_curve_p() for _ in range(600)])
    assert (p <= 0.05).mean() < 0.05 + 2 * (0.05 * 0.95 / 600) ** 0.5
    if positives >= 20:
        assert (p <= 0.05).mean() > 0.005, "it is a test"


def test_p_finds_a_difference() -> None:
    draws = np.random.default_rng(1)
    p = np.array([readers_on_the_curve(draws, 50, 300, behind=0.9).on_the_curve_p() for _ in range(100)])
    assert (p <= 0.05).mean() > 0.7


def test_degrees_of_freedom() -> None:
    positive = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], dtype=bool)
    called = np.array([1, 1, 1, 0, 1, 0, 0, 0, 0, 0], dtype=bool)
    assert network_degrees(reader_points(np.arange(10.0), positive, called, np.arange(10))) == (2, 2)
    assert network_degrees(reader_points(np.arange(10.0), positive, called & positive, np.arange(10))) == (0, 2)
