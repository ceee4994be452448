"""A study's figures, against scikit-learn and against a bootstrap of rows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrlt_cli.study.metrics import Reference, class_rows, harmonic_rows, mean_rows, score

RNG = np.random.default_rng(0)
TARGETS = (RNG.random((300, 4)) < [0.5, 0.3, 0.1, 0.0]).astype(np.uint8)
KNOWN = RNG.random((300, 4)) < 0.9
JUDGED = Reference(["A", "B", "C", "D"], ["head", "head", "medium", "tail"], TARGETS, KNOWN, np.arange(300) // 2)


def _logits(strength: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(TARGETS.shape)
    return np.asarray(strength * TARGETS + noise, dtype=np.float32)


def _ap(logits: np.ndarray, classes: tuple[int, ...]) -> float:
    return float(np.mean([average_precision_score(TARGETS[KNOWN[:, c], c], logits[KNOWN[:, c], c]) for c in classes]))


WEAK = [_logits(0.5, seed) for seed in (1, 2)]
STRONG = [_logits(1.5, seed) for seed in (1, 2)]


def _rows(*variants: list[np.ndarray], chain: bool = False) -> dict[tuple[str, str], dict[str, Any]]:
    scored = score(variants, JUDGED, (400, 400), chain)
    rows = mean_rows([f"v{at}" for at in range(len(variants))], scored, JUDGED)
    return {(row["variant"], row["mean"]): row for row in rows}


def test_means_are_those_of_scikit_learn_and_a_class_without_positives_is_in_none() -> None:
    rows = _rows(WEAK, STRONG)
    assert rows["v1", "all"]["mAP"] == pytest.approx(np.mean([_ap(one, (0, 1, 2)) for one in STRONG]), abs=1e-12)
    assert rows["v1", "head"]["mAP"] == pytest.approx(np.mean([_ap(one, (0, 1)) for one in STRONG]), abs=1e-12)
    assert ("v1", "tail") not in rows
    expected = np.std([_ap(one, (0, 1, 2)) for one in STRONG], ddof=1)
    assert rows["v1", "all"]["sd"] == pytest.approx(expected, abs=1e-12)


def test_a_difference_that_is_there_is_found_and_one_that_is_not_is_not() -> None:
    rows = _rows(WEAK, STRONG, WEAK, chain=True)
    better, same = rows["v1", "all"], rows["v2", "all"]
    expected = np.mean([_ap(s, (0, 1, 2)) - _ap(w, (0, 1, 2)) for s, w in zip(STRONG, WEAK, strict=True)])
    assert better["difference"] == pytest.approx(expected, abs=1e-12)
    assert 0 < better["difference_low"] < better["difference"] < better["difference_high"]
    assert better["difference_p"] == pytest.approx(1 / 401)
    assert better["holm"] == pytest.approx(2 * 1 / 401)
    assert same["difference"] == same["difference_low"] == same["difference_high"] == same["difference_sd"] == 0
    assert same["difference_p"] == 1
    assert same["to_former"] == pytest.approx(-expected, abs=1e-12)


def test_the_interval_is_that_of_resampled_patients() -> None:
    """An independent bootstrap: patients drawn, their rows repeated, scikit-learn called."""
    row = _rows(WEAK[:1], STRONG[:1])["v1", "all"]
    rng = np.random.default_rng(5)
    found = []
    for _ in range(150):
        patients = rng.integers(0, 150, 150)
        rows = np.stack([2 * patients, 2 * patients + 1], axis=1).ravel()
        label_mask, targets = KNOWN[rows], TARGETS[rows]
        found.append(
            [
                np.mean(
                    [average_precision_score(targets[label_mask[:, c], c], one[rows][label_mask[:, c], c]) for c in range(3)]
                )
                for one in (WEAK[0], STRONG[0])
            ]
        )
    low, high = np.quantile(np.diff(found, axis=1), [0.025, 0.975])
    width = high - low
    assert row["difference_low"] == pytest.approx(low, abs=0.15 * width)
    assert row["difference_high"] == pytest.approx(high, abs=0.15 * width)


def test_classes_are_rows_of_their_own() -> None:
    rows = class_rows(["v0", "v1"], score([WEAK, STRONG], JUDGED, (200, 200)), JUDGED)
    assert [row["class"] for row in rows] == ["A", "B", "C", "D"] * 2
    assert np.isnan(rows[3]["ap"])
    assert rows[4]["difference"] == pytest.approx(rows[4]["ap"] - rows[0]["ap"])
    assert rows[4]["holm"] >= rows[4]["p"]


def test_seen_and_unseen_classes_have_means_and_a_harmonic_mean() -> None:
    reference = replace(JUDGED, groups=["seen", "unseen", "seen", "seen"])
    scored = score([WEAK, STRONG], reference, (400, 400))
    rows = {(row["variant"], row["mean"]): row for row in mean_rows(["v0", "v1"], scored, reference)}
    assert {mean for _, mean in rows} == {"all", "seen", "unseen"}
    unseen = rows["v1", "unseen"]
    assert unseen["mAP"] == pytest.approx(np.mean([_ap(one, (1,)) for one in STRONG]), abs=1e-12)
    assert unseen["prevalence"] == pytest.approx(TARGETS[KNOWN[:, 1], 1].mean())
    known = KNOWN[:, 1]
    auroc = np.mean([roc_auc_score(TARGETS[known, 1], one[known, 1]) for one in STRONG])
    assert unseen["auroc"] == pytest.approx(auroc, abs=1e-12)
    assert unseen["auroc_low"] < auroc < unseen["auroc_high"]
    _, strong = harmonic_rows(["v0", "v1"], scored, reference)
    seen = rows["v1", "seen"]["mAP"]
    assert strong["mAP"] == pytest.approx(2 * seen * unseen["mAP"] / (seen + unseen["mAP"]))
    assert strong["auroc_low"] < strong["auroc"] < strong["auroc_high"]
    assert harmonic_rows(["v0", "v1"], scored, JUDGED) == []


def test_each_variant_is_compared_with_the_base_of_its_own_budget() -> None:
    variants = [WEAK, STRONG, STRONG, WEAK]  # bases at 0 and 2
    scored = score(variants, JUDGED, (200, 200), False, [0, 0, 2, 2])
    names = ["base, 1 ep", "other, 1 ep", "base, 5 ep", "other, 5 ep"]
    rows = {row["variant"]: row for row in mean_rows(names, scored, JUDGED, [0, 0, 2, 2]) if row["mean"] == "all"}
    assert rows["other, 1 ep"]["base"] == "base, 1 ep"
    assert rows["other, 5 ep"]["base"] == "base, 5 ep"
    assert rows["other, 1 ep"]["difference"] == pytest.approx(-rows["other, 5 ep"]["difference"], abs=1e-12)
    assert "difference" not in rows["base, 5 ep"]
    assert rows["other, 1 ep"]["holm"] == rows["other, 1 ep"]["difference_p"]  # one comparison a budget
    of_class = {(row["variant"], row["class"]): row for row in class_rows(names, scored, JUDGED, [0, 0, 2, 2])}
    assert "difference" not in of_class["base, 5 ep", "A"]
    assert of_class["other, 5 ep", "A"]["difference"] < 0


def test_the_interval_over_seeds_is_students_t_of_the_paired_differences() -> None:
    row = _rows([*WEAK, _logits(0.5, 3)], [*STRONG, _logits(1.5, 3)])["v1", "all"]
    paired = [_ap(_logits(1.5, seed), (0, 1, 2)) - _ap(_logits(0.5, seed), (0, 1, 2)) for seed in (1, 2, 3)]
    half = 4.302653 * np.std(paired, ddof=1) / 3**0.5  # t(2) of printed tables
    assert row["difference_seeds_low"] == pytest.approx(np.mean(paired) - half, abs=1e-6)
    assert row["difference_seeds_high"] == pytest.approx(np.mean(paired) + half, abs=1e-6)
