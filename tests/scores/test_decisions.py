"""Decisions at thresholds against scikit-learn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score

from cxrlt_cli.scores.decisions import RATIOS, choose_thresholds, decision_rows
from cxrlt_cli.scores.labelled import Scored


@pytest.fixture
def scored() -> Scored:
    """300 images of 100 patients, three classes; the last has no positive, and some labels are unknown."""
    draws = np.random.default_rng(0)
    targets = (draws.random((300, 3)) < [0.3, 0.05, 0.0]).astype(np.uint8)
    logits = np.round(draws.normal(targets), 1).astype(np.float32)
    label_mask = draws.random((300, 3)) < 0.8
    table = pd.DataFrame({"image_id": range(300), "patient_id": [f"p{n // 3}" for n in range(300)]})
    none = np.zeros(3, dtype=np.int64)
    return Scored(Path("x"), {}, "test", table, ["a", "b", "c"], logits, targets * label_mask, label_mask, none, none)


def test_counts_and_ratios_are_scikit_learns(scored: Scored) -> None:
    thresholds = choose_thresholds(scored, 0.8)
    rows = decision_rows(scored, thresholds)
    assert [(row["class"], row["rule"]) for row in rows] == [(name, rule) for name in "abc" for rule in ("f1", "specificity")]
    for row in rows[:4]:
        c = "abc".index(row["class"])
        known = scored.label_mask[:, c]
        truth, called = scored.targets[known, c], scored.logits[known, c] >= getattr(thresholds, row["rule"])[c]
        counts = [row[name] for name in ("true_negatives", "false_positives", "false_negatives", "true_positives")]
        assert counts == confusion_matrix(truth, called).ravel().tolist()
        wanted = {
            "sensitivity": recall_score(truth, called),
            "specificity": recall_score(truth, called, pos_label=0),
            "ppv": precision_score(truth, called),
            "npv": precision_score(truth, called, pos_label=0),
            "f1": f1_score(truth, called),
        }
        assert {name: row[name] for name in RATIOS} == pytest.approx(wanted)
        for name in RATIOS:
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
            assert row[f"{name}_low"] < row[f"{name}_high"], "no interval is a point"
    assert rows[1]["specificity"] >= 0.8


def test_a_class_without_a_positive_calls_nothing_positive(scored: Scored) -> None:
    row = decision_rows(scored, choose_thresholds(scored, 0.8))[4]
    assert np.isnan([row["threshold"], row["sensitivity"], row["ppv"], row["f1"]]).all()
    assert (row["true_positives"], row["false_positives"], row["npv"]) == (0, 0, 1)
    assert row["npv_low"] < 1
