"""`cxrlt train --fold`: what is held out, and that every later command uses the split of that fold."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TRAIN, Run

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.folds import in_fold
from cxrlt_cli.artifacts.predictions import read_predictions
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.report.mistakes import pictures, worst
from cxrlt_cli.report.subjects import find_subjects
from cxrlt_cli.workspace import Workspace

SHORT = [*TRAIN, "--epochs", "1"]


def test_the_fold_is_held_out_and_recorded(made_folds: Path) -> None:
    dataset = read_dataset(made_folds / "dataset.parquet")
    fold = dataset.table["fold"].to_numpy()
    for held_out in range(2):
        run = made_folds / f"runs/fold{held_out}"
        validation = read_predictions(run / "validation.parquet")
        assert validation.image_ids == dataset.table["image_id"][fold == held_out].tolist()
        assert (validation.header.split, validation.header.fold) == ("val", held_out)
        config = json.loads((run / "config.json").read_text())
        assert (config["fold"], config["options"]["fold"]) == (held_out, held_out)
        others = int(((fold >= 0) & (fold != held_out)).sum())
        assert f"{others} images" in (run / "log.txt").read_text()


def test_a_run_without_a_name_is_named_by_its_fold() -> None:
    assert TrainConfig(fold=2, seed=1).run_name == "resnet50-fold2-seed1"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--fold", "1", "--name", "fold0", "--resume"], "--fold was 0, is 1"),
        (["--name", "fold0", "--resume"], "3 folds instead of a val split"),
        (["--fold", "3"], "has no fold 3"),
        (["--fold", "-1"], "--fold -1 is not a number of 0 or more"),
        (["--fold", "1", "--weights", "runs/fold0"], "has learned from fold 1, which is held out here (it held out fold 0)"),
    ],
)
def test_what_train_refuses(options: list[str], says: str, cxrlt: Run, folds: Path) -> None:
    ended = cxrlt(*SHORT, *options)
    assert ended.code == 2
    assert says in ended.err
    assert sorted(path.name for path in (folds / "runs").iterdir()) == ["fold0", "fold1"]


def test_a_dataset_without_folds(cxrlt: Run, dataset: Path) -> None:
    ended = cxrlt(*SHORT, "--fold", "0")
    assert ended.code == 2
    assert "has no folds" in ended.err
    assert "cxrlt merge --folds 5" in ended.err


def test_predict_and_evaluate_take_the_split_of_the_fold(cxrlt: Run, folds: Path) -> None:
    assert cxrlt("predict", "fold1", "--split", "val", "--name", "held").code == 0
    predictions, own = (
        read_predictions(folds / path) for path in ("predictions/held.parquet", "runs/fold1/validation.parquet")
    )
    assert predictions.image_ids == own.image_ids
    assert predictions.header.fold == 1
    np.testing.assert_allclose(predictions.logits, own.logits, atol=1e-4)
    ended = cxrlt("evaluate", "held", "--bootstrap", "100")
    assert ended.code == 0, ended.err
    assert f"val split of fold 1: {len(own.image_ids)} images" in ended.out
    metrics = json.loads((folds / "evaluations/held/metrics.json").read_text())
    assert metrics["predictions"]["fold"] == 1
    part = in_fold(read_dataset(folds / "dataset.parquet"), 1)
    in_training = part.targets[(part.table["split"] == "train").to_numpy()].sum(axis=0)
    assert {row["class"]: row["train_positives"] for row in metrics["per_class"]} == dict(
        zip(part.classes, in_training.tolist(), strict=True)
    )
    assert "val of fold 1" in cxrlt("info", "predictions/held.parquet").out


def test_runs_of_different_folds_share_the_test_split_only(cxrlt: Run, folds: Path) -> None:
    ended = cxrlt("predict", "fold0", "fold1", "--split", "val")
    assert ended.code == 2
    assert "the runs held out different folds (fold0: 0, fold1: 1)" in ended.err
    ended = cxrlt("compare", "runs/fold0", "runs/fold1")
    assert ended.code == 2
    assert "score different images of the val split" in ended.err
    assert not list((folds / "predictions").glob("*.parquet"))
    assert cxrlt("predict", "fold0", "fold1", "--name", "both").code == 0
    assert read_predictions(folds / "predictions/both.parquet").header.fold is None


def test_fuse_ensemble_report_and_runs_take_the_fold(cxrlt: Run, folds: Path) -> None:
    ended = cxrlt("fuse", "fold0", "--epochs", "1", "--name", "fused")
    assert ended.code == 0, ended.err
    assert json.loads((folds / "runs/fused/config.json").read_text())["fold"] == 0
    assert cxrlt("ensemble", "runs/fold0", "runs/fused", "--select", "greedy").code == 0
    merged = read_predictions(folds / "predictions/ensemble.parquet")
    assert (merged.header.split, merged.header.fold) == ("val", 0)
    dataset = read_dataset(folds / "dataset.parquet")
    (subject,) = find_subjects(("fold0",), dataset, Workspace(folds))
    assert subject.scored.table["image_id"].tolist() == merged.image_ids
    (shown, *_) = pictures(subject, dataset, worst(subject.scored, 1), torch.device("cpu"))
    assert shown["image_id"] in merged.image_ids
    assert "--fold 1" in cxrlt("runs").out
    assert "--fold 0" in cxrlt("info", "runs/fold0").out
