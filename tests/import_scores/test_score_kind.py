"""Probabilities or logits: what a range of numbers leaves no doubt of, and the order that is kept."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxrlt_cli.errors import UserError
from cxrlt_cli.import_scores.score_kind import Kind, kind_of_scores, logits_of
from cxrlt_cli.import_scores.score_table import ScoreTable

DRAWS = np.random.default_rng(0)


def converted(values: np.ndarray, kind: Kind) -> np.ndarray:
    table = ScoreTable(Path("s.csv"), pd.DataFrame({"image_id": [f"i{n}" for n in range(len(values))]}), "image_id")
    return logits_of(values, kind, table, [f"class {n}" for n in range(values.shape[1])])


@pytest.mark.parametrize(
    ("values", "kind"),
    [(DRAWS.random((50, 4)), "probabilities"), (DRAWS.random((50, 4)) / 50, "probabilities"),
     (DRAWS.normal(-4, 3, (50, 4)), "logits"), (DRAWS.normal(0, 1, (2, 3)) * 5 - 2, "logits"),
     (np.tile([[0.0, 1.0]], (20, 1)), "probabilities")],
    ids=["uniform", "rare findings", "logits", "few logits", "decisions"],
)  # fmt: skip
def test_a_clear_range_is_recognised(values: np.ndarray, kind: str) -> None:
    assert kind_of_scores(values) == kind


@pytest.mark.parametrize(
    ("values", "why"),
    [(np.array([[0.1, 0.9]]), "2 scores are too few"), (0.5 + 0.2 * DRAWS.random((50, 4)), "sigmoid was applied a second"),
     (100 * DRAWS.random((50, 4)), "percent, counts or logits"), (np.append(DRAWS.random(99), -1e-9), "rounding errors"),
     (2 * DRAWS.random((50, 4)) - 1, "similarities or logits"), (1.5 * DRAWS.random((50, 4)), "percent, counts or logits")],
    ids=["few", "sigmoid twice", "percent", "rounding", "cosine", "above 1"],
)  # fmt: skip
def test_an_unclear_range_is_refused_with_the_reason(values: np.ndarray, why: str) -> None:
    with pytest.raises(UserError, match=why) as caught:
        kind_of_scores(values)
    assert "--kind probabilities or logits" in caught.value.hint


def test_the_logit_of_a_probability() -> None:
    found = converted(np.array([[0.5], [0.25], [0.9]]), "probabilities")
    assert found[:, 0].tolist() == pytest.approx([0.0, np.log(1 / 3), np.log(9)], rel=1e-6)


def test_0_and_1_stay_finite_and_at_the_ends() -> None:
    p = np.array([[0.0], [1e-300], [1e-17], [0.3], [1 - 2.0**-53], [1.0], [0.0]])
    found = converted(p, "probabilities")[:, 0]
    assert np.isfinite(found).all()
    assert (np.diff(found[:6]) > 0).all()
    assert found[6] == found[0]
    usual = converted(np.array([[0.0], [0.2], [1.0]]), "probabilities")[:, 0]
    assert usual[[0, 2]].tolist() == pytest.approx([-54 * np.log(2), 54 * np.log(2)], rel=1e-6)


@pytest.mark.parametrize("kind", ["probabilities", "logits"])
def test_scores_that_float32_cannot_tell_apart_keep_their_order(kind: Kind) -> None:
    """0.01 and the next 500 float64 numbers have one float32 logit; so have logits near 8."""
    start = 0.01 if kind == "probabilities" else 8.0
    values = np.array([start])
    while len(values) < 500:
        values = np.append(values, np.nextafter(values[-1], 9))
    shuffled = DRAWS.permutation(values)
    found = converted(shuffled[:, None], kind)[:, 0]
    assert found.dtype == np.float32
    assert np.array_equal(np.argsort(found), np.argsort(shuffled))
    assert len(np.unique(found)) == 500
