"""Pseudo-labels: what is unknown in training, and nothing else, gets scores of an earlier run."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import CACHE, Run, write_pictures

from cxrlt_cli.artifacts.dataset import Dataset, read_dataset
from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, write_predictions
from cxrlt_cli.data.batches import batches
from cxrlt_cli.data.dataset_images import DatasetImages

SPACE = "Cardiomegaly\nEffusion\nHernia\n"


@pytest.fixture
def two(cxrlt: Run, tmp_path: Path) -> Path:
    """A source with three labels, and one that lacks Hernia and leaves Effusion blank or uncertain at times."""
    (tmp_path / "space.txt").write_text(SPACE)
    write_pictures(tmp_path / "a", 48, seed=1)
    write_pictures(tmp_path / "b", 48, seed=2)
    table = pd.read_csv(tmp_path / "b/labels.csv", dtype=object).drop(columns="Hernia")
    table["image_id"] = "b" + table["image_id"]
    table.loc[table.index % 4 == 0, "Effusion"] = ""
    table.loc[table.index % 4 == 1, "Effusion"] = "-1"
    table.to_csv(tmp_path / "b/labels.csv", index=False)
    for name, labels in (("a", "Cardiomegaly,Effusion,Hernia"), ("b", "Cardiomegaly,Effusion")):
        source = f"table={tmp_path / name / 'labels.csv'}"
        ended = cxrlt(*CACHE, "--source", source, "--name", name, "--label-columns", labels)
        assert ended.code == 0, ended.err
    return tmp_path


MERGE = ["merge", "--label-space", "space.txt", "--same-picture", "keep", "--overwrite"]


def _scored(workspace: Path, *classes: str) -> tuple[Dataset, np.ndarray]:
    dataset = read_dataset(workspace / "dataset.parquet")
    ids = dataset.table["image_id"].tolist()
    logits = np.random.default_rng(0).normal(0, 2, (len(ids), len(classes))).astype(np.float32)
    write_predictions(workspace / "scores.parquet", Predictions(ids, list(classes), logits, PredictionsHeader()))
    return dataset, 1 / (1 + np.exp(-logits.astype(float)))


def test_scores_fill_only_unknown_training_labels(cxrlt: Run, two: Path) -> None:
    assert cxrlt(*MERGE, "--missing", "ignore").code == 0
    before, scores = _scored(two, "Hernia", "Cardiomegaly", "Pleural Effusion")
    scores = scores[:, [1, 2, 0]]
    ended = cxrlt(*MERGE, "--missing", "pseudo", "--blank", "ignore", "--pseudo", "scores.parquet")
    assert ended.code == 0, ended.err
    after = read_dataset(two / "dataset.parquet")
    assert (after.targets == before.targets).all()
    assert (after.label_mask == before.label_mask).all(), "a pseudo-label is not known: it counts in no metric"
    assert after.soft is not None
    training = (after.table["split"] == "train").to_numpy()
    of_b = (after.table["source"] == "b").to_numpy()
    filled = np.isfinite(after.soft)
    assert (filled == (~before.label_mask & (training & of_b)[:, None])).all()
    assert np.allclose(after.soft[filled], scores[filled], atol=1e-6)
    assert f"pseudo-labels for {filled.sum()} of {filled.sum()}" in ended.err


def test_thresholds_leave_the_middle_unknown(cxrlt: Run, two: Path) -> None:
    assert cxrlt(*MERGE, "--missing", "ignore").code == 0
    _, scores = _scored(two, "Cardiomegaly", "Effusion", "Hernia")
    options = ["--missing", "b=pseudo", "--pseudo", "scores.parquet", "--pseudo-threshold", "0.2,0.9"]
    assert cxrlt(*MERGE, *options).code == 0
    after = read_dataset(two / "dataset.parquet")
    assert after.soft is not None
    rows = ((after.table["split"] == "train") & (after.table["source"] == "b")).to_numpy()
    expected = np.where(scores[rows, 2] >= 0.9, 1, np.where(scores[rows, 2] <= 0.2, 0, np.nan))
    np.testing.assert_array_equal(after.soft[rows, 2], expected.astype(np.float32))


def test_soft_uncertain_labels_reach_the_training_batches_only(cxrlt: Run, two: Path) -> None:
    assert cxrlt(*MERGE, "--uncertain", "b=soft:0.55-0.85").code == 0
    dataset = read_dataset(two / "dataset.parquet")
    assert dataset.soft is not None
    soft = np.isfinite(dataset.soft)
    training = (dataset.table["split"] == "train").to_numpy()
    assert soft.any()
    assert not soft[~training].any()
    assert not dataset.label_mask[soft].any()
    rows = np.flatnonzero(soft.any(axis=1))[:4]
    (batch,) = batches(dataset, DatasetImages(dataset), [rows])
    assert batch.label_mask.numpy()[soft[rows]].all()
    assert np.allclose(batch.targets.numpy()[soft[rows]], dataset.soft[rows][soft[rows]])
    hard = ~soft[rows]
    assert (batch.targets.numpy()[hard] == dataset.targets[rows][hard]).all()


def test_predictions_of_other_images_are_refused(cxrlt: Run, two: Path) -> None:
    write_predictions(two / "scores.parquet", Predictions(["z"], ["Hernia"], np.zeros((1, 1), np.float32), PredictionsHeader()))
    ended = cxrlt(*MERGE, "--missing", "pseudo", "--pseudo", "scores.parquet")
    assert ended.code == 2
    assert "no score for any label" in ended.err
    assert not (two / "dataset.parquet").exists()
