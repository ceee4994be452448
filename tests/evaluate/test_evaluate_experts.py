"""`cxrlt evaluate --readers` and `--reference` as a user runs them."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from scored_files import make_dataset, make_predictions, rows_of_split

from cxrlt_cli.artifacts.evaluation import read_evaluation

CLASSES = ["Effusion", "Hernia"]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A dataset, predictions of its test split, three readers and an expert table."""
    dataset = make_dataset(tmp_path / "dataset.parquet")
    make_predictions(tmp_path / "predictions" / "base-test.parquet", dataset)
    rows = rows_of_split(dataset, "test")
    ids, truth = dataset.table["image_id"].to_numpy()[rows], dataset.targets[rows][:, [0, 2]] == 1
    draws = np.random.default_rng(0)
    parts = []
    for reader in ("anna", "ben", "carl"):
        called = truth ^ (draws.random(truth.shape) < 0.15)
        parts.append(pd.DataFrame(called.astype(int), columns=CLASSES).assign(image_id=ids, reader_id=reader))
    pd.concat(parts).to_csv(tmp_path / "reads.csv", index=False)
    parts[0].drop(columns="reader_id").to_csv(tmp_path / "experts.csv", index=False)
    return tmp_path


def test_readers_and_reference(cxrlt: Run, workspace: Path) -> None:
    ended = cxrlt("evaluate", "--readers", "reads.csv", "--reference", "majority:anna,ben,carl", "--bootstrap", "100")
    assert ended.code == 0, ended.err
    folder = workspace / "evaluations" / "base-test"
    assert sorted(path.name for path in folder.iterdir()) == [
        "decisions.csv", "metrics.json", "per_class.csv", "readers.csv", "reference.csv",
    ]  # fmt: skip
    evaluation = read_evaluation(folder)
    study = evaluation.reader_study
    assert study is not None
    assert study.readers == study.in_reference == ["anna", "ben", "carl"]
    assert [Path(file.path).name for file in evaluation.provenance.inputs][2:] == ["reads.csv"]
    with (folder / "readers.csv").open(newline="") as file:
        assert [row["reader"] for row in csv.DictReader(file)] == [row["reader"] for row in evaluation.readers]
    assert {row["class"] for row in evaluation.reference} == {"", *CLASSES}
    assert "their metrics are optimistic" in ended.err
    for text in ("anna *", "mean of readers", "pairs of class and reader", "against the labels of the dataset and against"):
        assert text in ended.out


def test_json_holds_the_same(cxrlt: Run, workspace: Path) -> None:
    ended = cxrlt("evaluate", "--readers", "reads.csv", "--reference", "experts.csv", "--json", "--bootstrap", "0")
    assert ended.code == 0, ended.err
    content = json.loads(ended.out)
    assert content == read_evaluation(workspace / "evaluations" / "base-test").content
    assert content["reader_study"]["in_reference"] == ["anna"], "the table is what one reader called"
    assert "warning: experts.csv equals the majority of anna" in ended.err
    assert content["reference_gap"]["images"] == 200
    row = next(row for row in content["readers"] if row["class"] == "Effusion" and row["reader"] == "ben")
    assert (row["sensitivity_difference_low"], row["kappa_low"]) == (None, None), "no resamples, no interval"
    assert row["sensitivity_low"] is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--reference", "majority:anna,ben"], "needs --readers"),
        (["--reference", "leave-one-out"], "needs --readers"),
        (["--readers", "reads.csv", "--reference", "majority:anna"], "two or more readers"),
        (["--readers", "reads.csv", "--reference", "majority:anna,anna"], "two or more readers"),
        (["--readers", "reads.csv", "--reference", "majority:anna,benn"], "no reader benn; nearest is 'ben'"),
        (["--readers", "reads.csv", "--per", "study"], "image by image"),
        (["--readers", "experts.csv"], "no column of the reader"),
        (["--reference", "reads.csv"], "rows again with other labels"),
        (["--reference", "nothing.csv"], "nothing.csv is not there"),
        (["--uncertain", "positive"], "--uncertain: only with"),
    ],
)
def test_bad_input_writes_nothing(cxrlt: Run, workspace: Path, options: list[str], message: str) -> None:
    ended = cxrlt("evaluate", *options)
    assert ended.code == 2
    assert message in ended.err
    assert not (workspace / "evaluations").exists()
