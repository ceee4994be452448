"""`cxrlt clean` as a command: which labels it lists, which scores it refuses."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run

from cxrlt_cli.artifacts.dataset import COLUMNS, Dataset, DatasetHeader, read_dataset, write_dataset
from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, write_predictions

CLASSES = ["Effusion", "Hernia", "Never"]
#: Images whose label is wrong: (number within the split, class).
WRONG = [(3, 0), (10, 0), (17, 1)]


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """A dataset with three wrong labels and one unknown one in each split, and sure scores of the truth; a workspace."""
    draws = np.random.default_rng(0)
    split = [name for name in ("train", "val", "test") for _ in range(60)]
    frame = pd.DataFrame({name: [None] * 180 for name in COLUMNS}, dtype=object)
    frame["image_id"], frame["patient_id"] = [f"i{n:03}" for n in range(180)], [f"p{n // 2:03}" for n in range(180)]
    frame["split"], frame["source"], frame["cache"], frame["row"] = split, "made-up", "images/made-up.h5", range(180)
    truth = np.stack([np.arange(180) % 3 == 0, np.arange(180) % 6 == 1, np.zeros(180, bool)], axis=1)
    targets, label_mask = truth.astype(np.uint8), np.ones(truth.shape, bool)
    for start in (0, 60, 120):
        for row, column in WRONG:
            targets[start + row, column] ^= 1
        targets[start + 20, 0], label_mask[start + 20, 0] = 0, False
    dataset = Dataset(frame, CLASSES, targets, label_mask, {"size": 8}, DatasetHeader(), tmp_path / "dataset.parquet")
    write_dataset(dataset)
    logits = (np.where(truth, 2.5, -2.5) + draws.normal(0, 0.1, truth.shape)).astype(np.float32)
    for name in ("train", "val", "test"):
        rows = np.flatnonzero(frame["split"] == name)
        header = PredictionsHeader(["base"], name)
        ids = frame["image_id"].to_numpy()[rows].tolist()
        write_predictions(tmp_path / f"predictions/{name}.parquet", Predictions(ids, CLASSES, logits[rows], header))
    return tmp_path


@pytest.mark.parametrize("probabilities", ["raw", "one-scale"])
def test_wrong_labels_come_first(probabilities: str, cxrlt: Run, scored: Path) -> None:
    ended = cxrlt("clean", "test", "--probabilities", probabilities, "--top", "5")
    assert ended.code == 0, ended.err
    rows = pd.read_csv(scored / "corrections/test/corrections.csv", dtype={"review": str})
    assert rows.columns.tolist() == ["image", "class", "given", "suggested", "score", "rank", "review"]
    assert set(zip(rows["image"][:3], rows["class"][:3], strict=True)) == {(f"i{120 + n:03}", CLASSES[c]) for n, c in WRONG}
    dataset = read_dataset(scored / "dataset.parquet")
    given = dict(zip(dataset.table["image_id"], dataset.targets.tolist(), strict=True))
    assert [given[row.image][CLASSES.index(str(row[2]))] for row in rows.itertuples()] == rows["given"].tolist()
    assert (rows["given"] + rows["suggested"] == 1).all()
    assert rows["rank"].tolist() == [1, 2, 3, 4, 5]
    assert rows["review"].isna().all()
    assert rows["score"][:3].max() < 0.5 < rows["score"][3:].min(), "three are contradicted, the page shows five"
    content = json.loads((scored / "corrections/test/corrections.json").read_text())
    assert (content["labels"], content["contradicted"], content["listed"]) == (60 * 3 - 1, 3, 5)
    never = content["classes"][2]
    assert never["threshold_present"] is None
    assert "3 of 179 known labels of 60 images are contradicted" in ended.err


def test_raw_scores_are_the_probability_of_the_given_label(cxrlt: Run, scored: Path) -> None:
    assert cxrlt("clean", "val", "--probabilities", "raw", "--top", "20", "--name", "x").code == 0
    rows = pd.read_csv(scored / "corrections/x/corrections.csv")
    table = pd.read_parquet(scored / "predictions/val.parquet").set_index("image_id")
    logits = np.array([table.loc[image, f"logit:{label}"] for image, label in zip(rows["image"], rows["class"], strict=True)])
    expected = 1 / (1 + np.exp(-np.where(rows["given"] == 1, logits, -logits)))
    np.testing.assert_allclose(rows["score"], expected, rtol=1e-5)
    assert rows["score"][3:].is_monotonic_increasing


def test_scores_of_training_images_are_refused_with_the_reason(cxrlt: Run, scored: Path) -> None:
    ended = cxrlt("clean", "train")
    assert ended.code == 2
    assert "has scores of training images" in ended.err
    assert "the network has learned their labels" in ended.err
    assert "cxrlt predict --split val" in ended.err
    assert not (scored / "corrections").exists()


def test_scores_of_another_tool_are_taken_with_a_warning(cxrlt: Run, scored: Path) -> None:
    dataset = read_dataset(scored / "dataset.parquet")
    logits = np.where(dataset.targets == 1, 2.0, -2.0).astype(np.float32)
    ids = dataset.table["image_id"].tolist()
    write_predictions(scored / "predictions/theirs.parquet", Predictions(ids, CLASSES, logits, PredictionsHeader()))
    assert "does not record which split" in cxrlt("clean", "theirs").err
    ended = cxrlt("clean", "theirs", "--split", "all")
    assert ended.code == 0, ended.err
    assert "only useful where the network was not trained on these images" in ended.err


def test_the_validation_scores_of_a_run_are_found(cxrlt: Run, scored: Path) -> None:
    run = scored / "runs/base"
    run.mkdir(parents=True)
    golden = Path(__file__).parents[1] / "data/version_0_2/workspace/runs/whole/config.json"
    (run / "config.json").write_text(golden.read_text())
    (scored / "predictions/val.parquet").rename(run / "validation.parquet")
    ended = cxrlt("clean", "runs/base")
    assert ended.code == 0, ended.err
    assert json.loads((scored / "corrections/base/corrections.json").read_text())["split"] == "val"
    assert "corrections/base exists" in cxrlt("clean", "runs/base").err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing"], "neither a run nor predictions"),
        (["test", "--top", "501"], "not within 0 … 500"),
        (["test", "--split", "val"], "are not in the val split"),
        (["test", "--name", "../x"], "cannot be an artifact's name"),
        (["test", "--dataset", "other.parquet"], "other.parquet is not there"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str, cxrlt: Run, scored: Path) -> None:
    ended = cxrlt("clean", *arguments)
    assert ended.code == 2
    assert says in ended.err
    assert not (scored / "corrections").exists()
