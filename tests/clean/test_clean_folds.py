"""`cxrlt clean --folds`: wrong labels among the training images, found by scores of runs that did not train on them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from folded import FLIPPED, MERGE

from cxrlt_cli.artifacts.dataset import COLUMNS, Dataset, DatasetHeader, read_dataset, write_dataset
from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, write_predictions


def test_wrong_training_labels_are_found_and_corrected(cxrlt: Run, folds: Path) -> None:
    before = read_dataset(folds / "dataset.parquet")
    training = before.table["image_id"][before.table["fold"] >= 0]
    wrong = {f"i{number:04}" for number in FLIPPED} & set(training)
    assert len(wrong) >= 4
    ended = cxrlt("clean", "--folds", "folds", "--top", "1")
    assert ended.code == 0, ended.err
    path = folds / "corrections/folds/corrections.csv"
    rows = pd.read_csv(path, dtype={"review": str})
    found = [(image in wrong) and label == "Cardiomegaly" for image, label in zip(rows["image"], rows["class"], strict=True)]
    assert np.mean(found[: len(wrong)]) >= 0.75, "of 216 labels the wrong ones come first"
    assert "map" in (folds / "corrections/folds/review.html").read_text()

    rows.loc[np.flatnonzero(found), "review"] = "flip"
    rows.to_csv(path, index=False)
    ended = cxrlt(*MERGE, "--corrections", path)
    assert ended.code == 0, ended.err
    assert "validation or test" not in ended.err, "no label of the test split was changed"
    after = read_dataset(folds / "dataset.parquet")
    assert (after.table["fold"] == before.table["fold"]).all()
    changed = np.argwhere(after.targets != before.targets)
    assert {after.table["image_id"][row] for row, _ in changed} == set(rows["image"][found])


def test_out_of_fold_scores_are_taken_by_path(cxrlt: Run, folds: Path) -> None:
    ended = cxrlt("clean", "studies/folds/out-of-fold.parquet", "--top", "0", "--probabilities", "raw")
    assert ended.code == 0, ended.err
    assert (folds / "corrections/out-of-fold/corrections.csv").exists()
    ended = cxrlt("predict", "fold0", "--split", "train", "--name", "seen")
    assert ended.code == 0, ended.err
    ended = cxrlt("clean", "seen")
    assert ended.code == 2
    assert "has scores of training images" in ended.err


def test_runs_with_other_scales_are_brought_to_one(cxrlt: Run, tmp_path: Path) -> None:
    """The logits of the second fold are 4 higher: ranked together as they are, its correct negatives would come first."""
    count = 120
    frame = pd.DataFrame({name: [None] * count for name in COLUMNS}, dtype=object)
    frame["image_id"], frame["patient_id"] = [f"i{n:03}" for n in range(count)], [f"p{n:03}" for n in range(count)]
    frame["split"], frame["source"], frame["cache"], frame["row"] = "train", "made-up", "images/made-up.h5", range(count)
    frame["fold"] = np.arange(count) % 2
    truth = (np.arange(count) // 2 % 3 == 0)[:, None]
    targets = truth.astype(np.uint8)
    wrong = [4, 31, 66, 97]
    targets[wrong] ^= 1
    header = DatasetHeader(folds=2)
    dataset = Dataset(frame, ["Mass"], targets, np.ones(truth.shape, bool), {"size": 8}, header, tmp_path / "dataset.parquet")
    write_dataset(dataset)
    noise = np.random.default_rng(0).normal(0, 0.5, truth.shape)
    logits = (np.where(truth, 2.0, -2.0) + noise + 4 * frame["fold"].to_numpy()[:, None]).astype(np.float32)
    scores = Predictions(frame["image_id"].tolist(), ["Mass"], logits, PredictionsHeader(["a", "b"], "train", out_of_fold=True))
    write_predictions(tmp_path / "studies/made-up/out-of-fold.parquet", scores)
    assert cxrlt("clean", "--folds", "made-up", "--top", "4").code == 0
    rows = pd.read_csv(tmp_path / "corrections/made-up/corrections.csv")
    assert set(rows["image"]) == {f"i{n:03}" for n in wrong}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--folds", "nothing"], "studies/nothing/out-of-fold.parquet is not there"),
        (["--folds", "folds", "--split", "train"], "--folds names the scores and their images"),
        (["a", "--folds", "folds"], "--folds names the scores and their images"),
    ],
)
def test_wrong_use_of_folds(options: list[str], says: str, cxrlt: Run, dataset: Path) -> None:
    ended = cxrlt("clean", *options)
    assert ended.code == 2
    assert says in ended.err
    assert not (dataset.parent / "corrections").exists()
