"""`cxrlt compare`: paired differences against a loop of resampled rows and scikit-learn, options, refusals."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from scipy import stats
from scored_files import CLASSES, make_dataset, make_predictions, rows_of_split
from sklearn.metrics import average_precision_score

from cxrlt_cli.artifacts.comparison import read_comparison
from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, write_predictions
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.metrics.resampling import multiplicities

OPTIONS = {"loss": "bce", "mixup": 0.0, "seed": 0, "name": "", "overwrite": False}


def write_run(folder: Path, predictions: Predictions, options: dict[str, object]) -> None:
    folder.mkdir(parents=True)
    config = {"options": OPTIONS | options, "classes": CLASSES, "pixels": {"size": 8}, "provenance": {}}
    (folder / "config.json").write_text(json.dumps(config))
    write_predictions(folder / "validation.parquet", replace(predictions, header=PredictionsHeader([folder.name], "val")))


def worse(predictions: Predictions, seed: int, noise: float) -> Predictions:
    """The same images with noisier scores, in another order of rows and of classes."""
    draws = np.random.default_rng(seed)
    logits = predictions.logits + noise * draws.normal(size=predictions.logits.shape).astype(np.float32)
    rows, columns = draws.permutation(len(logits)), draws.permutation(len(CLASSES))
    ids, names = [predictions.image_ids[row] for row in rows], [predictions.classes[c] for c in columns]
    return Predictions(ids, names, logits[rows][:, columns], predictions.header)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Predictions good, copy and bad of the test split; runs a and b with a validation."""
    dataset = make_dataset(tmp_path / "dataset.parquet")
    good = make_predictions(tmp_path / "predictions/good.parquet", dataset)
    write_predictions(tmp_path / "predictions/copy.parquet", good)
    write_predictions(tmp_path / "predictions/bad.parquet", worse(good, 1, 4.0))
    val = make_predictions(tmp_path / "val.parquet", dataset, "val")
    write_run(tmp_path / "runs/a", val, {})
    write_run(tmp_path / "runs/b", worse(val, 2, 2.0), {"loss": "asl", "mixup": 0.2, "name": "b"})
    return tmp_path


def compared(cxrlt: Run, *arguments: object) -> dict[str, object]:
    ended = cxrlt("compare", *arguments, "--json")
    assert ended.code == 0, ended.err
    content: dict[str, object] = json.loads(ended.out)
    return content


def test_differences_are_those_of_resampled_rows(cxrlt: Run, workspace: Path) -> None:
    content = compared(cxrlt, "good", "bad", "--bootstrap", 60, "--permutations", 300, "--seed", 3, "--name", "kept")
    dataset = make_dataset(workspace / "again.parquet")
    rows = rows_of_split(dataset, "test")
    patients = np.unique(dataset.table["patient_id"].to_numpy()[rows], return_inverse=True)[1]
    good = make_predictions(workspace / "again-good.parquet", dataset)
    bad = worse(good, 1, 4.0)
    order = [bad.image_ids.index(name) for name in good.image_ids]
    scores = [good.logits, bad.logits[order][:, [bad.classes.index(name) for name in CLASSES]]]
    ap = np.full((2, 61, len(CLASSES)), np.nan)
    for r in range(61):
        drawn = np.arange(len(rows)) if r == 60 else np.repeat(np.arange(len(rows)), multiplicities(100, 3, r)[patients])
        for c in range(len(CLASSES)):
            inside = drawn[dataset.label_mask[rows, c][drawn]]
            truth = dataset.targets[rows, c][inside]
            if truth.any():
                ap[:, r, c] = [average_precision_score(truth, logits[inside, c]) for logits in scores]
    differences = ap[1] - ap[0]
    other = content["others"][0]  # type: ignore[index]
    for row in other["classes"]:
        c = CLASSES.index(row["figure"])
        if row["difference"] is None:
            assert row["figure"] == "Never seen"
            continue
        assert (row["base"], row["value"]) == pytest.approx(ap[:, 60, c])
        h = np.unique(patients[(dataset.targets[rows, c] == 1) & dataset.label_mask[rows, c]])
        assert row["positive_patients"] == len(h)
        if len(h) < 5:
            assert (row["low"], row["high"]) == (None, None)
            continue
        half = stats.t.ppf(0.975, len(h) - 1) * np.nanstd(differences[:60, c], ddof=1)
        expected = max(row["difference"] - half, -1), min(row["difference"] + half, 1)
        assert (row["low"], row["high"]) == pytest.approx(expected, abs=1e-9)
    mean = np.nanmean(ap[1], axis=1) - np.nanmean(ap[0], axis=1)
    row = other["means"][0]
    assert (row["figure"], row["difference"]) == ("mAP", pytest.approx(mean[60]))
    half = stats.t.ppf(0.975, row["positive_patients"] - 1) * np.std(mean[:60], ddof=1)
    assert (row["low"], row["high"]) == pytest.approx((mean[60] - half, mean[60] + half), abs=1e-9)
    assert 1 / 301 <= row["p"] < 0.05, "noise of four times the spread of the scores"
    check_kept(workspace / "comparisons/kept", content)
    told = cxrlt("info", "comparisons/kept")
    assert told.code == 0, told.err
    assert f"mAP {row['difference']:+.4f}" in told.out


def check_kept(folder: Path, content: dict[str, object]) -> None:
    assert read_comparison(folder).content == content
    with (folder / "differences.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["figure"] for row in rows[:5]] == ["mAP", "mean AUROC", "head", "medium", "tail"]
    assert {row["figure"] for row in rows[5:]} == set(CLASSES)


def test_p_values_of_classes_are_corrected_and_equal_scores_do_not_differ(cxrlt: Run, workspace: Path) -> None:
    content = compared(cxrlt, "good", "copy", "bad", "--bootstrap", 100, "--permutations", 200)
    copy, bad = content["others"]  # type: ignore[misc]
    assert all((row["difference"], row["p"]) in ((0, 1), (None, None)) for row in (*copy["means"], *copy["classes"]))
    p = {row["figure"]: (row["p"], row["p_holm"]) for row in bad["classes"]}
    smallest = min(value for value, _ in p.values() if value is not None)
    assert min(corrected for _, corrected in p.values() if corrected is not None) == pytest.approx(min(1, 4 * smallest))
    assert p["Never seen"] == (None, None)


def test_runs_are_compared_by_their_validation_and_only_what_differs_is_shown(cxrlt: Run, workspace: Path) -> None:
    ended = cxrlt("compare", "a", "runs/b", "--bootstrap", 50, "--permutations", 50)
    assert ended.code == 0, ended.err
    assert "val: 60 images of 30 patients" in ended.out
    assert "b against a" in ended.out
    lines = ended.out.splitlines()
    assert lines[0].split() == ["options", "that", "differ", "a", "b"]
    assert [line.split() for line in lines[2:4]] == [["--loss", "bce", "asl"], ["--mixup", "0.0", "0.2"]]
    assert "--seed" not in ended.out
    assert "--name" not in ended.out
    assert "p (Holm)" in ended.out
    assert "4 classes need --permutations 80 or more" in ended.out
    assert not (workspace / "comparisons").exists()


def test_predictions_of_one_run_show_its_training_too(cxrlt: Run, workspace: Path) -> None:
    dataset = make_dataset(workspace / "dataset.parquet")
    plain = make_predictions(workspace / "predictions/x.parquet", dataset)
    for name, run, views in (("x", "a", 1), ("y", "b", 8)):
        header = PredictionsHeader([run], "test", provenance=Provenance(config={"tta": views, "name": name}))
        write_predictions(workspace / f"predictions/{name}.parquet", replace(plain, header=header))
    options = compared(cxrlt, "x", "y", "--bootstrap", 10, "--permutations", 10)["options"]
    assert options == {
        "loss": {"x": "bce", "y": "asl"},
        "mixup": {"x": 0.0, "y": 0.2},
        "tta": {"x": 1, "y": 8},
        "runs": {"x": ["a"], "y": ["b"]},
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["good"], "needs two"),
        (["good", "goood"], "nearest is 'good'"),
        (["good", "predictions/good.parquet"], "named twice"),
        (["good", "a"], "different splits (good: test; a: val)"),
        (["good", "bad", "--bootstrap", "0"], "--bootstrap"),
        (["good", "bad", "--permutations", "0"], "--permutations"),
        (["good", "bad", "--output", "x"], "--output needs --name"),
        (["good", "bad", "--name", "there"], "comparisons/there exists"),
        (["good", "unfinished"], "has not finished an epoch"),
        (["good", "both"], "is a run and predictions"),
        (["good", "part"], "no scores for 3 of 200 images"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str, cxrlt: Run, workspace: Path) -> None:
    (workspace / "comparisons/there").mkdir(parents=True)
    for name in ("unfinished", "both"):
        (workspace / "runs" / name).mkdir()
        (workspace / "runs" / name / "config.json").write_text("{}")
    dataset = make_dataset(workspace / "dataset.parquet")
    good = make_predictions(workspace / "predictions/both.parquet", dataset)
    write_predictions(
        workspace / "predictions/part.parquet", replace(good, image_ids=good.image_ids[3:], logits=good.logits[3:])
    )
    ended = cxrlt("compare", *arguments)
    assert ended.code == 2
    assert says in ended.err
    assert ended.out == ""
    assert [path.name for path in (workspace / "comparisons").iterdir()] == ["there"]
