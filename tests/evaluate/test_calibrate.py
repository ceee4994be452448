"""`cxrlt calibrate`: what is fitted, that the order of images stays, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from scored_files import CLASSES, make_dataset, make_predictions, rows_of_split
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss

from cxrlt_cli.artifacts.calibration import read_calibration
from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.artifacts.predictions import (
    AppliedCalibration,
    Predictions,
    PredictionsHeader,
    read_predictions,
    write_predictions,
)
from cxrlt_cli.evaluate.calibrate import fit_class
from cxrlt_cli.metrics.ranking import per_class
from cxrlt_cli.scores.apply_calibration import apply_calibration, calibrated, calibrated_column
from cxrlt_cli.scores.labelled import Scored


@pytest.fixture
def files(tmp_path: Path) -> tuple[Dataset, Predictions, Predictions]:
    """A dataset with predictions of val and test whose logits are three times too large."""
    dataset = make_dataset(tmp_path / "dataset.parquet")
    made = []
    for split in ("val", "test"):
        found = make_predictions(tmp_path / f"predictions/{split}.parquet", dataset, split)
        made.append(replace(found, logits=3 * found.logits))
        write_predictions(tmp_path / f"predictions/{split}.parquet", made[-1])
    return dataset, *made


METHODS = ["temperature", "platt", "isotonic"]


@pytest.mark.parametrize("method", METHODS)
def test_order_and_ap_stay_and_probabilities_are_better(
    method: str, cxrlt: Run, files: tuple[Dataset, Predictions, Predictions], tmp_path: Path
) -> None:
    ended = cxrlt("calibrate", "val", "--method", method)
    assert ended.code == 0, ended.err
    assert "Never seen: none (" in ended.out
    assert "temperature: 0 positive patients, fewer than 1" in ended.out
    calibration = read_calibration(tmp_path / f"calibrations/val-{method}.json")
    dataset, val, test = files
    for predictions, split in ((val, "val"), (test, "test")):
        rows = rows_of_split(dataset, split)
        after = apply_calibration(predictions, calibration)
        before = per_class(predictions.logits, dataset.targets[rows], dataset.label_mask[rows])
        found = per_class(after.logits, dataset.targets[rows], dataset.label_mask[rows])
        assert np.array_equal(found.ap, before.ap, equal_nan=True)
        assert np.array_equal(found.auroc, before.auroc, equal_nan=True)
        label_mask, truth = dataset.label_mask[rows, 1], dataset.targets[rows, 1]
        losses = [
            log_loss(truth[label_mask], 1 / (1 + np.exp(-x[label_mask, 1].astype(float))))
            for x in (predictions.logits, after.logits)
        ]
        assert losses[1] < losses[0]
        assert np.array_equal(after.logits[:, 4], predictions.logits[:, 4])
        assert after.header.calibration is not None
        assert after.header.calibration.name == f"val-{method}"


@pytest.mark.parametrize("method", METHODS)
def test_decisions_stay_where_thresholds_come_from_other_images(
    method: str, cxrlt: Run, files: tuple[Dataset, Predictions, Predictions], tmp_path: Path
) -> None:
    assert cxrlt("calibrate", "val", "--method", method, "--name", "cal").code == 0
    evaluate = ["evaluate", "test", "--thresholds-from", "val", "--bootstrap", 0]
    assert cxrlt(*evaluate, "--name", "raw").code == 0
    assert cxrlt(*evaluate, "--name", "calibrated", "--calibrate", "cal").code == 0
    raw, after = (json.loads((tmp_path / f"evaluations/{name}/metrics.json").read_text()) for name in ("raw", "calibrated"))
    for before, now in zip(raw["per_class"], after["per_class"], strict=True):
        assert all(before[name] == now[name] for name in ("ap", "f1", "sensitivity", "specificity"))
    assert raw["mean_ece"] != after["mean_ece"], "they are other probabilities"


def test_thresholds_of_other_probabilities_are_refused(
    cxrlt: Run, files: tuple[Dataset, Predictions, Predictions], tmp_path: Path
) -> None:
    assert cxrlt("calibrate", "val", "--name", "cal").code == 0
    calibrated = apply_calibration(files[2], read_calibration(tmp_path / "calibrations/cal.json"))
    write_predictions(tmp_path / "predictions/warm.parquet", calibrated)
    ended = cxrlt("evaluate", "warm", "--thresholds-from", "val")
    assert ended.code == 2
    assert "is calibrated by cal" in ended.err
    assert "val.parquet is not calibrated" in ended.err
    assert not (tmp_path / "evaluations").exists()


def _scored(logits: np.ndarray, targets: np.ndarray) -> Scored:
    """One class, an image a patient."""
    table = pd.DataFrame({"image_id": range(len(logits)), "patient_id": range(len(logits))})
    there, count = np.ones((len(logits), 1), dtype=bool), np.zeros(1, dtype=np.int64)
    values = logits[:, None].astype(np.float32), targets[:, None].astype(np.uint8), there
    return Scored(Path("x"), {}, "val", table, ["a"], *values, count, count)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("prevalence", [0.002, 0.01, 0.1, 0.7])
def test_no_class_gets_worse_and_its_mean_is_the_prevalence(method: str, prevalence: float) -> None:
    """Scores of 20 classes of each prevalence: good ones, useless ones, ones turned round, and ones already calibrated."""
    for seed in range(20):
        draws = np.random.default_rng(seed)
        targets = draws.random(500) < prevalence
        lean = (2.0, 0.0, -1.0, 1.0)[seed % 4]
        logits = lean * targets + draws.normal(size=500) + np.log(prevalence / (1 - prevalence)) * (seed % 3)
        found = fit_class(_scored(logits, targets), 0, method)
        row = found.row
        assert row["ece_after"] <= row["ece_before"] + 1e-9
        assert row["log_loss_after"] <= row["log_loss_before"] + 1e-9
        assert row["mean_error_after"] <= row["mean_error_before"] + 1e-9
        if row["method"] in ("platt", "isotonic"):
            assert row["mean_after"] == pytest.approx(targets.mean(), abs=1e-6)
        assert (row["method"] == method) == (row["reason"] == "")
        assert (row["method"] == "none") == (found.fitted == {})
        after = calibrated_column(logits.astype(np.float32), found.fitted)
        assert np.array_equal(np.argsort(after, kind="stable"), np.argsort(logits.astype(np.float32), kind="stable"))


@pytest.mark.parametrize(("positives", "got"), [(10, "isotonic"), (9, "platt"), (5, "platt"), (4, "temperature"), (0, "none")])
def test_few_positive_patients_get_a_simpler_method(positives: int, got: str) -> None:
    draws = np.random.default_rng(3)
    targets = np.arange(400) < positives
    found = fit_class(_scored(3 * (draws.normal(size=400) + targets), targets), 0, "isotonic")
    assert found.row["method"] == got
    if positives < 10:
        assert f"isotonic: {positives} positive patients, fewer than 10" in found.row["reason"]


def test_isotonic_is_scikit_learns_within_the_little_that_keeps_the_order() -> None:
    draws = np.random.default_rng(0)
    logits = draws.normal(size=3000).astype(np.float32)
    targets = draws.random(3000) < 1 / (1 + np.exp(-2 * logits))
    found = fit_class(_scored(logits, targets), 0, "isotonic")
    reference = IsotonicRegression(out_of_bounds="clip").fit(logits, targets).predict(logits)
    after = calibrated_column(logits, found.fitted).astype(float)
    assert np.abs(1 / (1 + np.exp(-after)) - reference).max() < 0.03
    assert found.row["ece_after"] < 0.005
    assert found.row["ece_before"] > 0.05


def test_calibrations_of_version_1_are_read(tmp_path: Path) -> None:
    fitted = {"a": {"temperature": 2.0}, "b": {"logits": [-1.0, 1.0], "probabilities": [0.25, 0.75]}, "c": {}}
    content = {"format": "cxrlt calibration", "version": 1, "method": "isotonic", "fitted": fitted, "errors": []}
    (tmp_path / "old.json").write_text(json.dumps(content))
    calibration = read_calibration(tmp_path / "old.json")
    after = calibrated(np.array([[-1, 0, 3], [2, 0.5, 1]], dtype=np.float32), ["a", "b", "c"], calibration)
    assert np.allclose(after, [[-0.5, 0, 3], [1, np.log(0.625 / 0.375), 1]])


def test_what_is_written_and_shown(cxrlt: Run, files: tuple[Dataset, Predictions, Predictions], tmp_path: Path) -> None:
    ended = cxrlt("calibrate", "val", "--json", "--method", "temperature")
    assert ended.code == 0, ended.err
    shown = {row["class"]: row for row in json.loads(ended.out)}
    content = json.loads((tmp_path / "calibrations/val-temperature.json").read_text())
    assert (content["format"], content["version"], content["method"]) == ("cxrlt calibration", 2, "temperature")
    assert content["errors"] == [shown[name] for name in CLASSES]
    assert shown["Effusion"]["method"] == "temperature"
    assert content["fitted_on"] == {
        "name": "val", "images": 60, "runs": ["base"], "views": 8, "merge": "geomean", "split": "val",
    }  # fmt: skip
    assert set(content["fitted"]) == set(CLASSES)
    assert content["fitted"]["Never seen"] == {}
    assert content["fitted"]["Effusion"]["temperature"] == shown["Effusion"]["temperature"] > 1
    assert shown["Effusion"]["ece_after"] < shown["Effusion"]["ece_before"]
    assert [Path(file["path"]).name for file in content["provenance"]["inputs"]] == ["val.parquet", "dataset.parquet"]
    told = cxrlt("info", "calibrations/val-temperature.json")
    assert told.code == 0, told.err
    assert f"5, {sum(not entry for entry in content['fitted'].values())} left unchanged" in told.out
    ended = cxrlt("calibrate", "val")
    assert "ECE before" in ended.out
    assert (tmp_path / "calibrations/val-platt.json").is_file()


def test_what_is_refused(cxrlt: Run, files: tuple[Dataset, Predictions, Predictions], tmp_path: Path) -> None:
    write_predictions(
        tmp_path / "predictions/twice.parquet",
        replace(files[1], header=PredictionsHeader(split="val", calibration=AppliedCalibration("x"))),
    )
    for arguments, says in (
        ([], "needs predictions of the validation split"),
        (["test"], "scores the test split"),
        (["twice"], "is calibrated already"),
        (["vla"], "nearest is 'val'"),
        (["val", "--name", "a/b"], "cannot be an artifact's name"),
    ):
        ended = cxrlt("calibrate", *arguments)
        assert ended.code == 2
        assert says in ended.err
    assert not (tmp_path / "calibrations").exists()
    assert cxrlt("calibrate", "val").code == 0
    ended = cxrlt("calibrate", "val")
    assert ended.code == 2
    assert "val-platt.json exists" in ended.err


@pytest.mark.parametrize(
    "entry",
    [
        {"temperature": 0},
        {"temperature": "warm"},
        {"logits": [1, 0], "probabilities": [0.1, 0.2]},
        {"logits": [0]},
        [1],
        {"temperature": 1, "bias": "x"},
    ],
)
def test_damaged_calibrations(entry: object, tmp_path: Path) -> None:
    from cxrlt_cli.errors import UserError

    path = tmp_path / "c.json"
    content = {"format": "cxrlt calibration", "version": 1, "method": "temperature", "fitted": {"Effusion": entry}}
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="damaged"):
        read_calibration(path)


def test_calibrated_predictions_can_be_read_again(
    tmp_path: Path, files: tuple[Dataset, Predictions, Predictions], cxrlt: Run
) -> None:
    assert cxrlt("calibrate", "val", "--method", "temperature").code == 0
    made = apply_calibration(files[2], read_calibration(tmp_path / "calibrations/val-temperature.json"))
    write_predictions(tmp_path / "predictions/after.parquet", made)
    assert np.array_equal(read_predictions(tmp_path / "predictions/after.parquet").logits, made.logits)
    found = {}
    for name in ("test", "after"):
        ended = cxrlt("evaluate", name, "--json", "--bootstrap", 0)
        assert ended.code == 0, ended.err
        found[name] = json.loads(ended.out)
    assert found["after"]["predictions"]["calibration"]["name"] == "val-temperature"
    assert found["after"]["mAP"] == found["test"]["mAP"]
    ended = cxrlt("evaluate", "test", "--calibrate", "val-temperature", "--name", "same", "--json", "--bootstrap", 0)
    assert ended.code == 0, ended.err
    same = json.loads(ended.out)
    assert (same["per_class"], same["mean_ece"]) == (found["after"]["per_class"], found["after"]["mean_ece"])
    ended = cxrlt("evaluate", "after", "--calibrate", "val-temperature", "--name", "again")
    assert ended.code == 2
    assert "already calibrated by val-temperature" in ended.err
    assert found["after"]["groups"]["head"]["mean_ece"] < found["test"]["groups"]["head"]["mean_ece"]
