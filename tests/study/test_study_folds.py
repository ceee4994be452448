"""`cxrlt study folds`: what it trains, and what its scores, its ensemble and its table hold."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from folded import STUDY
from sklearn.metrics import average_precision_score

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.predictions import read_predictions


def test_each_training_image_has_the_score_of_the_run_that_held_it_out(made_folds: Path) -> None:
    dataset = read_dataset(made_folds / "dataset.parquet")
    scores = read_predictions(made_folds / "studies/folds/out-of-fold.parquet")
    fold = dataset.table["fold"].to_numpy()
    assert scores.image_ids == dataset.table["image_id"][fold >= 0].tolist()
    assert scores.header.out_of_fold
    assert len(scores.header.runs) == len(list((made_folds / "studies/runs").iterdir())) == 3
    row = {name: number for number, name in enumerate(scores.image_ids)}
    for held_out, run in enumerate(scores.header.runs):
        own = read_predictions(made_folds / f"studies/runs/{run}/validation.parquet")
        assert own.image_ids == dataset.table["image_id"][fold == held_out].tolist()
        assert (scores.logits[[row[name] for name in own.image_ids]] == own.logits).all(), "bit by bit"


def test_the_table_has_a_row_a_fold_and_one_of_all_together(made_folds: Path) -> None:
    content = json.loads((made_folds / "studies/folds/study.json").read_text())
    rows = {row["variant"]: row for row in content["means"] if row["mean"] == "all"}
    assert list(rows) == ["fold 0", "fold 1", "fold 2", "out of fold", "ensemble, test", "mean of folds"]
    folds = [rows[f"fold {fold}"]["mAP"] for fold in range(3)]
    assert rows["mean of folds"]["mAP"] == pytest.approx(np.mean(folds))
    assert rows["mean of folds"]["sd_of_folds"] == pytest.approx(np.std(folds, ddof=1))
    dataset = read_dataset(made_folds / "dataset.parquet")
    training = (dataset.table["split"] == "train").to_numpy()
    scores = read_predictions(made_folds / "studies/folds/out-of-fold.parquet")
    pooled = [average_precision_score(dataset.targets[training, c], scores.logits[:, c]) for c in range(3)]
    assert rows["out of fold"]["mAP"] == pytest.approx(np.mean(pooled))
    assert rows["out of fold"]["low"] < rows["out of fold"]["mAP"] < rows["out of fold"]["high"]
    assert rows["out of fold"]["images"] == int(training.sum())
    with (made_folds / "studies/folds/table.csv").open() as file:
        assert [row["variant"] for row in csv.DictReader(file) if row["mean"] == "all"] == list(rows)


def test_the_study_is_not_run_again_and_its_files_are_taken_by_other_commands(cxrlt: Run, folds: Path) -> None:
    before = (folds / "studies/folds/out-of-fold.parquet").stat().st_mtime_ns
    ended = cxrlt(*STUDY)
    assert ended.code == 0, ended.err
    assert "min" not in ended.err.split("runs in")[1].split("\n", 1)[1].split("studies/folds")[0], "nothing is trained again"
    assert (folds / "studies/folds/out-of-fold.parquet").stat().st_mtime_ns > before
    assert "out of fold: all held-out images ranked together" in ended.out
    ended = cxrlt("evaluate", "studies/folds/out-of-fold.parquet", "--bootstrap", "100", "--by", "fold")
    assert ended.code == 0, ended.err
    assert "training images, out of fold (different runs scored them: see each fold with --by fold): 72 images" in ended.out
    assert "has changed" not in ended.err
    ended = cxrlt("predict", "--ensemble", "studies/folds/ensemble.json", "--name", "again")
    assert ended.code == 0, ended.err
    again, test = (read_predictions(folds / path) for path in ("predictions/again.parquet", "studies/folds/test.parquet"))
    assert again.image_ids == test.image_ids
    np.testing.assert_allclose(again.logits, test.logits, atol=1e-5)
    assert cxrlt("calibrate", "studies/folds/out-of-fold.parquet", "--name", "of-folds").code == 0
    assert "out of fold" in cxrlt("info", "studies/folds/out-of-fold.parquet").out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--split", "val"], "--split val has no use"),
        (["--train", "--fold 1"], "--fold: a study sets this itself"),
        (["--train", "--reweight hard2:3"], "--reweight hard2:3: no run of the study says which classes are hard"),
        (["--first-seed", "1"], "holds a study of other variants"),
    ],
)
def test_what_the_study_of_folds_refuses(options: list[str], says: str, cxrlt: Run, folds: Path) -> None:
    ended = cxrlt(*STUDY, *options)
    assert ended.code == 2
    assert says in ended.err


def test_a_dataset_without_folds(cxrlt: Run, dataset: Path) -> None:
    ended = cxrlt(*STUDY)
    assert ended.code == 2
    assert "has no folds" in ended.err
    assert not (dataset.parent / "studies").exists()
