"""`cxrlt calibrate`: what is fitted, that the order of images stays, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from scored_files import CLASSES, make_dataset, make_predictions, rows_of_split
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss

from cxrlt_cli.artifacts.calibration import read_calibration
from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.artifacts.predictions import Predictions, read_predictions, write_predictions
from cxrlt_cli.metrics.ranking import per_class
from cxrlt_cli.scores.apply_calibration import apply_calibration


@pytest.fixture
def files(tmp_path: Path) -> tuple[Dataset, Predictions, Predictions]:
    """A dataset with predictions of val and test that are three times too sure of themselves."""
    dataset = make_dataset(tmp_path / "dataset.parquet")
    made = []
    for split in ("val", "test"):
        found = make_predictions(tmp_path / f"predictions/{split}.parquet", dataset, split)
        made.append(replace(found, logits=3 * found.logits - 1))
        write_predictions(tmp_path / f"predictions/{split}.parquet", made[-1])
    return dataset, *made


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_order_and_ap_stay_and_probabilities_are_better(
    method: str, cxrlt: Run, files: tuple[Dataset, Predictions, Predictions], tmp_path: Path
) -> None:
    ended = cxrlt("calibrate", "val", "--method", method)
    assert ended.code == 0, ended.err
    assert "left as they are: Never seen" in ended.err
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
        assert after.header["calibration"]["name"] == f"val-{method}"


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
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


def test_isotonic_probabilities_are_scikit_learns(
    cxrlt: Run, files: tuple[Dataset, Predictions, Predictions], tmp_path: Path
) -> None:
    """At the middle of each step."""
    assert cxrlt("calibrate", "val", "--method", "isotonic", "--name", "iso").code == 0
    dataset, val, test = files
    rows = rows_of_split(dataset, "val")
    label_mask = dataset.label_mask[rows, 1]
    reference = IsotonicRegression(out_of_bounds="clip").fit(val.logits[label_mask, 1], dataset.targets[rows, 1][label_mask])
    calibration = read_calibration(tmp_path / "calibrations/iso.json")
    middle = np.array(calibration.fitted[CLASSES[1]]["logits"], dtype=np.float32)
    ids, logits = [str(n) for n in range(len(middle))], np.repeat(middle[:, None], len(CLASSES), axis=1)
    asked = replace(test, image_ids=ids, logits=logits)
    after = apply_calibration(asked, calibration).logits[:, 1]
    least = 0.5 / label_mask.sum()
    wanted = np.clip(reference.predict(middle), least, 1 - least)
    assert np.allclose(1 / (1 + np.exp(-after.astype(float))), wanted, atol=1e-4)


def test_what_is_written_and_shown(cxrlt: Run, files: tuple[Dataset, Predictions, Predictions], tmp_path: Path) -> None:
    ended = cxrlt("calibrate", "val", "--json")
    assert ended.code == 0, ended.err
    shown = {row["class"]: row for row in json.loads(ended.out)}
    content = json.loads((tmp_path / "calibrations/val-temperature.json").read_text())
    assert (content["format"], content["method"]) == ("cxrlt calibration", "temperature")
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
    assert "5, 1 left as they are" in told.out
    ended = cxrlt("calibrate", "val", "--overwrite")
    assert "ECE before" in ended.out


def test_what_is_refused(cxrlt: Run, files: tuple[Dataset, Predictions, Predictions], tmp_path: Path) -> None:
    write_predictions(
        tmp_path / "predictions/twice.parquet", replace(files[1], header={"split": "val", "calibration": {"name": "x"}})
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
    assert "val-temperature.json exists" in ended.err


@pytest.mark.parametrize(
    "entry",
    [{"temperature": 0}, {"temperature": "warm"}, {"logits": [1, 0], "probabilities": [0.1, 0.2]}, {"logits": [0]}, [1]],
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
    assert cxrlt("calibrate", "val").code == 0
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
    assert "calibrated already, by val-temperature" in ended.err
    assert found["after"]["groups"]["head"]["mean_ece"] < found["test"]["groups"]["head"]["mean_ece"]
