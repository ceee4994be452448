"""What `cxrlt evaluate` says beyond AP and AUROC: intervals, thresholds, studies, subgroups, the challenge's zero."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from scipy import stats
from scored_files import CLASSES, make_dataset, make_predictions, rows_of_split
from sklearn.metrics import average_precision_score, f1_score, recall_score, roc_auc_score, roc_curve

from cxrlt_cli.artifacts.dataset import Dataset, write_dataset
from cxrlt_cli.artifacts.predictions import Predictions, write_predictions
from cxrlt_cli.evaluate.subgroups import subgroup_of
from cxrlt_cli.metrics.calibration import expected_calibration_error
from cxrlt_cli.metrics.corrected_ap import corrected_ap
from cxrlt_cli.metrics.resampling import multiplicities


@pytest.fixture
def files(tmp_path: Path) -> tuple[Dataset, Predictions]:
    dataset = make_dataset(tmp_path / "dataset.parquet")
    dataset.table["sex"] = np.where(np.arange(len(dataset.table)) % 3 == 0, "F", "M")
    dataset.table["age"] = np.linspace(1, 99, len(dataset.table)).round()
    dataset.table.loc[dataset.table.index[-5:], "age"] = np.nan
    dataset.table["study_id"] = [f"s{n // 2}" for n in range(len(dataset.table))]
    dataset.table.loc[dataset.table.index[-3:], "study_id"] = None
    write_dataset(dataset)
    make_predictions(tmp_path / "predictions" / "base-val.parquet", dataset, "val")
    return dataset, make_predictions(tmp_path / "predictions" / "base-test.parquet", dataset)


def evaluated(cxrlt: Run, *arguments: object) -> dict[str, Any]:
    ended = cxrlt("evaluate", "base-test", "--overwrite", "--json", *arguments)
    assert ended.code == 0, ended.err
    content: dict[str, Any] = json.loads(ended.out)
    return content


def row_of(metrics: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in metrics["per_class"] if row["class"] == name)


def test_intervals_are_students_t_on_the_logit_scale_from_resampled_rows(
    cxrlt: Run, files: tuple[Dataset, Predictions]
) -> None:
    metrics = evaluated(cxrlt, "--bootstrap", 60, "--seed", 4)
    dataset, predictions = files
    split = rows_of_split(dataset, "test")
    patients = np.unique(dataset.table["patient_id"].to_numpy()[split], return_inverse=True)[1]
    ap, micro = np.full((60, len(CLASSES)), np.nan), []
    for r in range(60):
        rows = np.repeat(np.arange(len(split)), multiplicities(100, 4, r)[patients])
        label_mask, targets = dataset.label_mask[split][rows], dataset.targets[split][rows]
        for c in range(len(CLASSES)):
            truth = targets[label_mask[:, c], c]
            if truth.any():
                ap[r, c] = average_precision_score(truth, predictions.logits[rows][label_mask[:, c], c])
        micro.append(average_precision_score(targets[label_mask], predictions.logits[rows][label_mask]))
    inside, truth = dataset.label_mask[split], dataset.targets[split]
    corrected = corrected_ap(predictions.logits, truth, inside, patients)
    for c, name in enumerate(CLASSES[:4]):
        row = row_of(metrics, name)
        h = np.bincount(patients[(truth[:, c] == 1) & inside[:, c]])
        assert row["positive_patients"] == (h > 0).sum()
        assert row["ap_corrected"] == pytest.approx(corrected[c])
        wanted = by_hand(corrected[c], np.nanstd(ap[:, c], ddof=1), h.sum() ** 2 / (h**2).sum())
        found = (None, None) if row["positive_patients"] < 5 else tuple(wanted)
        assert (row["ap_low"], row["ap_high"]) == pytest.approx(found, abs=1e-9)
        assert (name in metrics["no_interval"]) == (row["positive_patients"] < 5)
    assert metrics["mAP_corrected"] == pytest.approx(np.nanmean(corrected))
    h = np.bincount(patients, weights=((truth == 1) & inside).sum(axis=1))
    wanted = by_hand(metrics["micro_ap_corrected"], np.std(micro, ddof=1), h.sum() ** 2 / (h**2).sum())
    assert (metrics["micro_ap_low"], metrics["micro_ap_high"]) == pytest.approx(wanted, abs=1e-3)  # a little wider above
    assert {key: metrics["bootstrap"][key] for key in ("resamples", "of", "seed")} == {
        "resamples": 60,
        "of": "patients",
        "seed": 4,
    }


def by_hand(middle: float, std: float, degrees: float) -> np.ndarray:
    """Student's t interval on the logit scale."""
    half = stats.t.ppf(0.975, degrees) * std / (middle * (1 - middle))
    return 1 / (1 + np.exp(-(np.log(middle / (1 - middle)) + np.array([-half, half]))))


def test_every_figure_has_an_interval_around_it_or_none_without_resamples(
    cxrlt: Run, files: tuple[Dataset, Predictions]
) -> None:
    for resamples in (200, 0):
        metrics = evaluated(cxrlt, "--bootstrap", resamples)
        for content in (metrics, *metrics["groups"].values(), *metrics["per_class"]):
            for name in [key.removesuffix("_low") for key in content if key.endswith("_low")]:
                low, value, high = (content[name + end] for end in ("_low", "", "_high"))
                proportion = "class" in content and name in ("f1", "sensitivity", "specificity")
                few = content.get("positive_patients", 5) < 5 and name in ("ap", "auroc", "ap_over_prevalence")
                if value is None or (resamples == 0 and not proportion) or few:
                    assert (low, high) == (None, None)
                elif proportion:
                    assert 0 <= low <= value <= high <= 1
                    assert high - low > 0.01, "exact: no interval is a point"
                elif name not in ("ece", "mean_ece"):  # which resampling itself makes larger
                    assert low <= value <= high, name


def test_thresholds_are_those_of_validation(cxrlt: Run, files: tuple[Dataset, Predictions], tmp_path: Path) -> None:
    dataset, predictions = files
    metrics = evaluated(cxrlt, "--thresholds-from", "base-val", "--specificity", 0.8, "--bootstrap", 0)
    assert metrics["thresholds"]["held_out"] is True
    assert metrics["thresholds"]["none_for"] == ["Never seen"]
    val, test = rows_of_split(dataset, "val"), rows_of_split(dataset, "test")
    chosen_on = make_predictions(tmp_path / "again.parquet", dataset, "val").logits
    c = CLASSES.index("Enlarged Cardiomediastinum")
    label_mask = dataset.label_mask[val, c]
    truth, scores = dataset.targets[val, c][label_mask], chosen_on[label_mask, c]
    best = max(np.unique(scores), key=lambda t: (f1_score(truth, scores >= t), t))
    row = row_of(metrics, CLASSES[c])
    assert row["f1_threshold"] == pytest.approx(1 / (1 + np.exp(-float(best))))
    inside = dataset.label_mask[test, c]
    labels, logits = dataset.targets[test, c][inside], predictions.logits[inside, c]
    assert row["f1"] == pytest.approx(f1_score(labels, logits >= best))
    rates = roc_curve(truth, scores, drop_intermediate=False)
    at = rates[2][np.flatnonzero(rates[0] <= 0.2)[-1]]
    assert row["sensitivity"] == pytest.approx(recall_score(labels, logits >= at))
    assert row["specificity"] == pytest.approx(recall_score(labels, logits >= at, pos_label=0))
    assert row["ece"] == pytest.approx(expected_calibration_error(1 / (1 + np.exp(-logits.astype(float))), labels))
    decisions = {(one["class"], one["rule"]): one for one in metrics["decisions"]}
    of_f1, of_specificity = decisions[CLASSES[c], "f1"], decisions[CLASSES[c], "specificity"]
    assert (of_f1["f1"], of_f1["threshold"]) == (row["f1"], row["f1_threshold"])
    assert of_f1["true_positives"] == (labels[logits >= best] == 1).sum()
    assert of_specificity["sensitivity_low"] == row["sensitivity_low"]
    assert [one["class"] for one in metrics["decisions"][::2]] == [one["class"] for one in metrics["per_class"]]
    with (tmp_path / "evaluations/base-test/decisions.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2 * len(CLASSES)
    ended = cxrlt("evaluate", "base-test", "--name", "x", "--thresholds-from", "base-test")
    assert ended.code == 2
    assert "scores the test split, which is evaluated" in ended.err


def test_patients_and_studies_of_one_name_in_two_sources_are_two(cxrlt: Run, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset.parquet")
    dataset.table["patient_id"], dataset.table["study_id"] = "1", "1"
    dataset.table["source"] = np.where(np.arange(len(dataset.table)) % 2, "a", "b")
    write_dataset(dataset)
    make_predictions(tmp_path / "predictions" / "base-test.parquet", dataset)
    assert evaluated(cxrlt, "--per", "study", "--bootstrap", 0)["studies"] == 2


@pytest.mark.parametrize("merge", ["mean", "max"])
def test_studies_are_merged(merge: str, cxrlt: Run, files: tuple[Dataset, Predictions]) -> None:
    dataset, predictions = files
    metrics = evaluated(cxrlt, "--per", "study", "--study-merge", merge, "--bootstrap", 20)
    rows = rows_of_split(dataset, "test")
    assert (metrics["images"], metrics["studies"]) == (200, 98 + 1 + 3)
    table = dataset.table.iloc[rows]
    keys = [study if isinstance(study, str) else name for study, name in zip(table["study_id"], table["image_id"], strict=True)]
    scores, truth = [], []
    for key in dict.fromkeys(keys):
        inside = np.array([k == key for k in keys])
        label_mask = dataset.label_mask[rows, 1] & inside
        if label_mask.any():
            scores.append(getattr(np, merge)(predictions.logits[inside, 1]))
            truth.append(dataset.targets[rows, 1][label_mask].max())
    assert row_of(metrics, CLASSES[1])["ap"] == pytest.approx(average_precision_score(truth, scores))


def test_subgroups_are_the_figures_of_their_rows(cxrlt: Run, files: tuple[Dataset, Predictions], tmp_path: Path) -> None:
    dataset, predictions = files
    metrics = evaluated(cxrlt, "--by", "sex", "--by", "age", "--bootstrap", 50)
    rows = rows_of_split(dataset, "test")
    women = (dataset.table["sex"].to_numpy()[rows] == "F") & dataset.label_mask[rows, 0]
    wanted = dataset.targets[rows, 0][women], predictions.logits[women, 0]
    found = next(row for row in metrics["subgroups"] if (row["value"], row["class"]) == ("F", CLASSES[0]))
    assert (found["ap"], found["auroc"]) == pytest.approx((average_precision_score(*wanted), roc_auc_score(*wanted)))
    assert found["ap_low"] < found["ap"] < found["ap_high"]
    assert (found["images"], found["positives"]) == (women.sum(), wanted[0].sum())
    assert {row["value"] for row in metrics["subgroups"] if row["by"] == "age"} == {"60-79", "80+", "unknown"}
    path = tmp_path / "evaluations/base-test/subgroups.csv"
    with path.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(metrics["subgroups"])
    evaluated(cxrlt, "--bootstrap", 0)
    assert not path.exists()


def test_subgroups_of_a_column_share_their_classes_and_small_ones_are_named(
    cxrlt: Run, files: tuple[Dataset, Predictions]
) -> None:
    ended = cxrlt("evaluate", "base-test", "--by", "sex", "--by", "age", "--bootstrap", 50)
    assert ended.code == 0, ended.err
    small = r"too small, age: unknown \(5 images\): 0 of \d classes have 5 positive and 5 negative patients"
    assert re.search(small, ended.out)
    metrics = evaluated(cxrlt, "--by", "sex", "--by", "age", "--bootstrap", 50)
    for by in ("sex", "age"):
        means = [row for row in metrics["subgroups"] if row["by"] == by and not row["class"]]
        shown = [row for row in means if not row["reason"]]
        assert len({row["defined"] for row in shown}) == 1
        for mean in shown:
            classes = [row for row in metrics["subgroups"] if (row["by"], row["value"]) == (by, mean["value"]) and row["class"]]
            counted = [row for row in classes if row["in_mean"]]
            assert len(counted) == mean["defined"] >= 1
            assert all(row["positive_patients"] >= 5 for row in counted)
            assert mean["auroc"] == pytest.approx(np.mean([row["auroc"] for row in counted]))
            assert mean["prevalence"] == pytest.approx(np.mean([row["prevalence"] for row in counted]))
            assert all((row["ap"] is None) == bool(row["reason"]) for row in classes)
    small = next(row for row in metrics["subgroups"] if (row["by"], row["value"]) == ("age", "unknown"))
    assert (small["ap"], small["images"]) == (None, 5)


def test_a_subgroup_is_compared_with_the_rest(cxrlt: Run, files: tuple[Dataset, Predictions]) -> None:
    """The scores of a third of the patients are turned round."""
    dataset, predictions = files
    rows = rows_of_split(dataset, "test")
    dataset.table["view"] = np.array(["bad", "good", "fine"])[(np.arange(len(dataset.table)) // 2) % 3]
    bad = (dataset.table["view"] == "bad").to_numpy()[rows]
    logits = predictions.logits + 2 * dataset.targets[rows]
    write_dataset(dataset)
    write_predictions(
        Path("predictions/base-test.parquet"), replace(predictions, logits=np.where(bad[:, None], -logits, logits))
    )
    metrics = evaluated(cxrlt, "--by", "view", "--bootstrap", 200)
    means = {row["value"]: row for row in metrics["subgroups"] if not row["class"]}
    rest = ~bad
    inside = [row["class"] for row in metrics["subgroups"] if row["value"] == "bad" and row["in_mean"]]
    areas = []
    for name in inside:
        c = CLASSES.index(name)
        there = dataset.label_mask[rows, c] & rest
        areas.append(roc_auc_score(dataset.targets[rows, c][there], np.where(bad[:, None], -logits, logits)[there, c]))
    row = means["bad"]
    assert row["auroc_difference"] == pytest.approx(row["auroc"] - np.mean(areas))
    assert row["auroc_difference_low"] < row["auroc_difference"] < row["auroc_difference_high"] < 0
    assert row["p"] <= row["p_holm"] < 0.001
    assert means["good"]["auroc_difference"] > 0
    without = evaluated(cxrlt, "--by", "view", "--bootstrap", 0)
    assert next(one for one in without["subgroups"] if not one["class"])["p"] is None


def test_dates_whole_numbers_and_stray_blanks() -> None:
    dates = pd.Series(pd.to_datetime([f"2020-01-{day:02}" for day in range(1, 21)] + [None]))
    found = subgroup_of(dates, "taken")
    assert found.iloc[0] == "quarter 1: 2020-01-01 to 2020-01-05"
    assert found.iloc[19] == "quarter 4: 2020-01-16 to 2020-01-20"
    assert found.iloc[20] == "unknown"
    assert subgroup_of(dates[-3:], "taken").tolist() == ["2020-01-19", "2020-01-20", "unknown"]
    assert subgroup_of(pd.Series([1.0, 2.0, None]), "score").tolist() == ["1", "2", "unknown"]
    assert subgroup_of(pd.Series([0.5, 2.0, None]), "score").tolist() == ["0.5", "2.0", "unknown"]
    assert subgroup_of(pd.Series([" a", "a ", "", "b\nc", None]), "ward").tolist() == ["a", "a", "unknown", "b c", "unknown"]
    long = pd.Series(range(20190401, 20190421))
    assert subgroup_of(long, "StudyDate").iloc[0] == "quarter 1: 20190401 to 20190405"


def test_the_class_that_divides_is_in_no_mean(cxrlt: Run, files: tuple[Dataset, Predictions]) -> None:
    metrics = evaluated(cxrlt, "--by", CLASSES[2], "--bootstrap", 0)
    assert {row["class"] for row in metrics["subgroups"]} == {"", *CLASSES} - {CLASSES[2]}
    for value in ("positive", "negative"):
        rows = [row for row in metrics["subgroups"] if row["value"] == value]
        counted = [row["ap"] for row in rows if row["class"] and row["in_mean"]]
        mean = next(row for row in rows if not row["class"])
        assert mean["classes"] == 4
        assert mean["ap"] == (pytest.approx(np.mean(counted)) if counted else None)


def test_studies_whose_images_differ_are_a_subgroup_of_their_own(cxrlt: Run, files: tuple[Dataset, Predictions]) -> None:
    dataset, _ = files
    dataset.table["view"] = ["PA", "LATERAL", "PA", "PA"] * (len(dataset.table) // 4)
    write_dataset(dataset)
    metrics = evaluated(cxrlt, "--per", "study", "--by", "view", "--bootstrap", 0)
    counts = {row["value"]: row["images"] for row in metrics["subgroups"] if not row["class"]}
    assert set(counts) == {"PA", "LATERAL", "several"}
    assert counts["several"] == 49  # the last study of those has its images without a number, each by itself
    assert sum(counts.values()) == metrics["studies"]


def test_age_bands() -> None:
    ages = pd.Series([0, 19.5, 20, 79, 80, 120, None, -1])
    assert subgroup_of(ages, "age").tolist() == ["00-19", "00-19", "20-39", "60-79", "80+", "80+", "unknown", "unknown"]


def test_the_challenges_zero(cxrlt: Run, files: tuple[Dataset, Predictions]) -> None:
    left_out = evaluated(cxrlt, "--bootstrap", 0)
    counted = evaluated(cxrlt, "--bootstrap", 0, "--undefined", "zero")
    assert counted["mAP"] == pytest.approx(left_out["mAP"] * 4 / 5)
    assert counted["groups"]["tail"]["mAP"] == 0
    assert counted["mean_auroc"] == left_out["mean_auroc"]
    assert row_of(counted, "Never seen")["ap"] is None


def test_micro_weighted_and_macro(cxrlt: Run, files: tuple[Dataset, Predictions]) -> None:
    metrics = evaluated(cxrlt, "--bootstrap", 10)
    rows = [row for row in metrics["per_class"] if row["ap"] is not None]
    positives = [row["positives"] for row in rows]
    assert metrics["weighted_ap"] == pytest.approx(np.average([row["ap"] for row in rows], weights=positives))
    assert metrics["mean_f1"] == pytest.approx(np.mean([row["f1"] for row in rows]))
    for name in ("f1", "sensitivity"):  # between independent classes and classes that vary together
        sides = [[abs(row[f"{name}_{end}"] - row[name]) for row in rows] for end in ("low", "high")]
        for end, of_classes in zip(("low", "high"), sides, strict=True):
            half = abs(metrics[f"mean_{name}_{end}"] - metrics[f"mean_{name}"]) * len(rows)
            assert 0.5 * np.linalg.norm(of_classes) <= half <= 1.001 * sum(of_classes)
    assert metrics["weighted_f1"] == pytest.approx(np.average([row["f1"] for row in rows], weights=positives))
    assert metrics["micro_f1_low"] <= metrics["micro_f1"] <= metrics["micro_f1_high"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--by", "gender"], "'gender' is not a column"),
        (["--bootstrap", "-1"], "--bootstrap"),
        (["--specificity", "90"], "--specificity 90.0"),
        (["--thresholds-from", "nowhere"], "'nowhere'"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str, cxrlt: Run, files: tuple[Dataset, Predictions], tmp_path: Path) -> None:
    ended = cxrlt("evaluate", "base-test", *arguments)
    assert ended.code == 2
    assert says in ended.err
    assert not (tmp_path / "evaluations").exists()


def test_by_a_class_and_by_the_columns_of_a_table(cxrlt: Run, files: tuple[Dataset, Predictions], tmp_path: Path) -> None:
    dataset, predictions = files
    rows = rows_of_split(dataset, "test")
    patients = dataset.table["patient_id"].to_numpy()[rows]
    names = sorted(set(patients))[:-1]  # one patient is not told of
    facts = pd.DataFrame({"patient_id": names, "scanner": ["A", "B"] * 49 + ["A"], "weight": np.arange(40, 139)})
    facts.to_csv(tmp_path / "facts.csv", index=False)
    dataset.table["patient_id"] = "made-up:" + dataset.table["patient_id"]  # as merge names them
    write_dataset(dataset)
    arguments = ["--by", CLASSES[1], "--by", "scanner", "--by", "weight", "--by-table", tmp_path / "facts.csv"]
    metrics = evaluated(cxrlt, *arguments, "--bootstrap", 0)
    values: dict[str, list[str]] = {}
    for row in metrics["subgroups"]:
        if not row["class"]:
            values.setdefault(row["by"], []).append(row["value"])
    assert values[CLASSES[1]] == ["negative", "positive", "unknown"]
    assert values["scanner"] == ["A", "B", "unknown"]
    quarters = ["quarter 1: 40 to 64", "quarter 2: 65 to 89", "quarter 3: 90 to 113", "quarter 4: 114 to 138", "unknown"]
    assert values["weight"] == quarters
    scanner = dict(zip(facts["patient_id"], facts["scanner"], strict=True))
    inside = np.array([scanner.get(name) == "B" for name in patients]) & dataset.label_mask[rows, 0]
    wanted = average_precision_score(dataset.targets[rows, 0][inside], predictions.logits[inside, 0])
    found = next(row for row in metrics["subgroups"] if (row["value"], row["class"]) == ("B", CLASSES[0]))
    assert (found["ap"], found["images"]) == (pytest.approx(wanted), inside.sum())
    assert metrics["provenance"]["inputs"][-1]["path"].endswith("facts.csv")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--by", "scaner"], "--by 'scaner' is not a column"),
        (["--by", "image_id"], "--by 'image_id' has 200 different values"),
        (["--by-table", "facts.csv"], "--by-table needs --by"),
        (["--by", "sex", "--by", "sex"], "--by names a column twice"),
        (["--by", "scanner", "--by-table", "ids.csv"], "has 100 different values, and 'NA' is not a number"),
        (["--by", "sex", "--by-table", "none.csv"], "none.csv is not there"),
        (["--by", "sex", "--by-table", "other.csv"], "has none of the columns image_id, study_id, patient_id"),
        (["--by", "sex", "--by-table", "strangers.csv"], "strangers.csv has none of the images"),
        (["--by", "sex", "--by-table", "taken.csv"], "taken.csv and the dataset both have sex"),
        (["--by", "sex", "--by-table", "twice.csv"], "i0460"),
    ],
)
def test_what_cannot_divide(
    arguments: list[str], said: str, cxrlt: Run, files: tuple[Dataset, Predictions], tmp_path: Path
) -> None:
    (tmp_path / "other.csv").write_text("name,scanner\ni0460,A\n")
    (tmp_path / "strangers.csv").write_text("image_id,scanner\nx,A\n")
    (tmp_path / "taken.csv").write_text("image_id,sex\ni0460,A\n")
    (tmp_path / "twice.csv").write_text("image_id,scanner\ni0460,A\ni0460,B\n")
    numbers = [f"{patient},{number or 'NA'}" for number, patient in enumerate(sorted(set(files[0].table["patient_id"][460:])))]
    (tmp_path / "ids.csv").write_text("\n".join(["patient_id,scanner", *numbers]) + "\n")
    ended = cxrlt("evaluate", "base-test", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert not (tmp_path / "evaluations" / "base-test").exists()
