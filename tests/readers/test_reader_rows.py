"""The rows of `readers.csv` and `reference.csv`: figures of scikit-learn, means, and what has no interval."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from read_images import CLASSES, reads_of, scored_images
from sklearn.metrics import average_precision_score, cohen_kappa_score, precision_score, recall_score, roc_auc_score

from cxrlt_cli.readers.experts import gap_content, read_experts, study_content
from cxrlt_cli.scores.labelled import Scored

SCORED = scored_images()
Row = dict[str, Any]


def study(
    folder: Path, names: str = "ABC", reference: tuple[str, list[str]] = ("labels", []), drop: str = ""
) -> tuple[Row, list[Row]]:
    table = reads_of(SCORED, names)
    table[table["Reader ID"] + table["Image ID"] != drop].to_csv(folder / "reads.csv", index=False)
    return study_content(read_experts(SCORED, folder / "reads.csv", reference, ("", ""), "leave-out"), SCORED, 200, 0)


def row_of(rows: list[Row], name: str, reader: str) -> Row:
    return next(row for row in rows if (row["class"], row["reader"]) == (name, reader))


def test_figures_are_scikit_learns(tmp_path: Path) -> None:
    facts, rows = study(tmp_path)
    table, truth = reads_of(SCORED), SCORED.targets[:, 1] == 1
    for reader in "ABC":
        called = (table[table["Reader ID"] == reader]["Pleural Thickening"] == "YES").to_numpy()
        row = row_of(rows, CLASSES[1], reader)
        assert row["sensitivity"] == pytest.approx(recall_score(truth, called))
        assert row["specificity"] == pytest.approx(recall_score(~truth, ~called))
        assert row["ppv"] == pytest.approx(precision_score(truth, called))
        assert row["kappa"] == pytest.approx(cohen_kappa_score(truth, called))
        assert row["sensitivity_difference"] == pytest.approx(row["network_sensitivity"] - row["sensitivity"])
        for name in ("sensitivity", "specificity", "ppv", "kappa", "sensitivity_difference", "specificity_difference"):
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
        assert 0 < row["p"] <= row["p_holm"] <= 1
    assert len({tuple(row) for row in rows}) == 1, "every row has the same columns"
    assert (facts.images, facts.patients, facts.reference) == (120, 60, "labels of the dataset")
    area = {row["class"]: row["auroc"] for row in facts.curves}
    assert area["Mass"] == pytest.approx(roc_auc_score(SCORED.targets[:, 0], SCORED.logits[:, 0]))


def test_means_over_readers_and_classes(tmp_path: Path) -> None:
    facts, rows = study(tmp_path)
    for name in ("sensitivity", "kappa", "network_specificity", "specificity_difference"):
        of_readers = [row_of(rows, "Mass", reader)[name] for reader in "ABC"]
        assert row_of(rows, "Mass", "mean of readers")[name] == pytest.approx(np.mean(of_readers))
        of_classes = [row_of(rows, one, "B")[name] for one in CLASSES]
        assert row_of(rows, "", "B")[name] == pytest.approx(np.mean(of_classes))
    mean = row_of(rows, "", "mean of readers")
    assert (mean["readers"], mean["classes"], mean["images"]) == (3, 2, 120)
    assert (
        mean["sensitivity_difference_low"] <= mean["these_readers_sensitivity_difference_low"] < mean["sensitivity_difference"]
    )
    ahead = [row for row in rows if row["class"] and row["reader"] in "ABC" and row["sensitivity_difference"] > 0]
    assert facts.network_ahead["compared"] == 6
    assert facts.network_ahead["ahead"] == len(ahead)
    assert (
        row_of(rows, "Mass", "panel")["sensitivity"]
        > max(row_of(rows, "Mass", reader)["sensitivity"] for reader in "ABC") - 0.1
    )


def test_readers_of_the_reference_are_not_in_the_means(tmp_path: Path) -> None:
    facts, rows = study(tmp_path, "ABCDE", ("majority", ["A", "B", "C"]))
    assert facts.in_reference == ["A", "B", "C"]
    assert row_of(rows, "Mass", "A")["in_reference"]
    values = [row_of(rows, "Mass", reader)["kappa"] for reader in "DE"]
    assert row_of(rows, "Mass", "mean of readers")["kappa"] == pytest.approx(np.mean(values))
    assert "panel" not in {row["reader"] for row in rows}, "two readers are no panel"
    assert facts.network_ahead["compared"] == 4


def test_each_against_all_others(tmp_path: Path) -> None:
    facts, rows = study(tmp_path, reference=("leave-one-out", []))
    table = reads_of(SCORED)
    of = {name: (table[table["Reader ID"] == name]["Mass"] == "YES").to_numpy() for name in "ABC"}
    agreed = of["B"] == of["C"]
    assert row_of(rows, "Mass", "A")["images"] == agreed.sum()
    assert row_of(rows, "Mass", "A")["sensitivity"] == pytest.approx(recall_score(of["B"][agreed], of["A"][agreed]))
    assert {row["reader"] for row in rows} == {"A", "B", "C", "mean of readers"}
    assert facts.curves[0]["images"] == 120, "the curve is against the majority of all"


def test_different_images_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, rows = study(tmp_path, drop="Bi007.png")
    assert "readers read different images, 119 (B) to 120 (A)" in capsys.readouterr().err
    assert [row_of(rows, "Mass", reader)["images"] for reader in "ABC"] == [120, 119, 120]


def test_the_gap_to_a_reference(tmp_path: Path) -> None:
    truth = SCORED.targets ^ (np.random.default_rng(3).random(SCORED.targets.shape) < 0.1)
    table = SCORED.table[["image_id"]].assign(Mass=truth[:, 0], Pleural_Thickening=truth[:, 1])[:100]
    table.to_csv(tmp_path / "experts.csv", index=False)
    experts = read_experts(SCORED, None, ("table", [str(tmp_path / "experts.csv")]), ("", ""), "leave-out")
    facts, rows = gap_content(experts, SCORED, 200, 0)
    assert (facts.images, facts.patients) == (100, 50)
    first = SCORED.rows(np.arange(120) < 100)
    check_class(first, truth[:100], next(row for row in rows if row["class"] == "Mass"))
    mean = rows[0]
    assert mean["class"] == ""
    for name in ("auroc_labels", "auroc_reference", "ap_difference"):
        assert mean[name] == pytest.approx(np.mean([row[name] for row in rows[1:]]))
    assert mean["auroc_difference_low"] < mean["auroc_difference"] < mean["auroc_difference_high"]


def check_class(scored: Scored, truth: np.ndarray, row: Row) -> None:
    labels, scores = scored.targets[:, 0], scored.logits[:, 0]
    assert row["auroc_labels"] == pytest.approx(roc_auc_score(labels, scores))
    assert row["auroc_reference"] == pytest.approx(roc_auc_score(truth[:, 0], scores))
    assert row["ap_reference"] == pytest.approx(average_precision_score(truth[:, 0], scores))
    assert row["auroc_difference"] == pytest.approx(row["auroc_reference"] - row["auroc_labels"])
    assert row["labels_sensitivity"] == pytest.approx(recall_score(truth[:, 0], labels))
    assert row["labels_kappa"] == pytest.approx(cohen_kappa_score(truth[:, 0], labels))
    assert (row["labels_positives"], row["reference_positives"]) == (labels.sum(), truth[:, 0].sum())
