"""`merge --folds`, and the split of a fold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run

from cxrlt_cli.artifacts.dataset import Dataset, DatasetHeader, read_dataset, write_dataset
from cxrlt_cli.artifacts.folds import all_folds, in_fold
from cxrlt_cli.errors import UserError
from cxrlt_cli.labels.folds import training_folds
from cxrlt_cli.labels.splits import fold_patients

MERGE = ["merge", "--label-space", "classes.txt", "--split", "50,25,25", "--overwrite"]


def test_folds_have_equal_parts_of_each_class_and_keep_patients_together() -> None:
    draws = np.random.default_rng(0)
    owner = np.sort(draws.integers(0, 1000, 3000))
    positive = (draws.random((1000, 4)) < np.array([0.4, 0.1, 0.03, 0.012]))[owner] & (draws.random((3000, 4)) < 0.8)
    patients = pd.Series([f"p{number}" for number in owner])
    fold = fold_patients(patients, positive, 5, seed=0)
    assert (pd.Series(fold).groupby(patients).nunique() == 1).all()
    assert np.ptp(np.bincount(fold, minlength=5)) <= 6
    for column in range(4):
        having = np.array([positive[fold == k, column].sum() for k in range(5)])
        assert np.ptp(having) <= max(4, 0.05 * having.sum()), (column, having)
    order = draws.permutation(3000)
    again = fold_patients(patients.iloc[order].reset_index(drop=True), positive[order], 5, seed=0)
    assert (again == fold[order]).all(), "the order of the rows changes nothing"


def test_three_patients_of_a_class_go_to_three_folds() -> None:
    patients = pd.Series([f"p{number}" for number in range(30)])
    positive = (np.arange(30) < 3)[:, None]
    assert sorted(fold_patients(patients, positive, 3, seed=0)[:3]) == [0, 1, 2]


def test_patients_of_train_only_sources_are_held_out_in_no_fold() -> None:
    rows = pd.DataFrame({"patient_id": list("aabbccdd"), "source": ["x", "x", "x", "y", "y", "y", "x", "x"]})
    training = np.array([True] * 6 + [False] * 2)
    fold = training_folds(rows, np.zeros((8, 1), bool), training, 1, ("y",), 0)
    assert fold.tolist() == [0, 0, -1, -1, -1, -1, -1, -1], "b has an image of x too, d is in the test split"
    with pytest.raises(UserError, match="--folds 2: there are only 1 patients"):
        training_folds(rows, np.zeros((8, 1), bool), training, 2, ("y",), 0)
    with pytest.raises(UserError, match="no patient is left"):
        training_folds(rows, np.zeros((8, 1), bool), training, 2, ("x", "y"), 0)


def test_merge_writes_folds_and_keeps_the_test_split(cxrlt: Run, dataset: Path) -> None:
    before = read_dataset(dataset)
    assert before.folds == 0
    ended = cxrlt(*MERGE, "--folds", "3")
    assert ended.code == 0, ended.err
    after = read_dataset(dataset)
    assert after.folds == 3
    testing = (before.table["split"] == "test").to_numpy()
    assert ((after.table["split"] == "test") == testing).all()
    assert set(after.table["split"]) == {"train", "test"}
    fold = after.table["fold"].to_numpy()
    assert (fold[testing] == -1).all()
    assert set(fold[~testing]) == {0, 1, 2}
    assert after.table[~testing].groupby("patient_id")["fold"].nunique().max() == 1
    printed = [line.split() for line in ended.out.splitlines()]
    counts = [str((fold == k).sum()) for k in range(3)]
    assert ["images", *counts] in printed
    assert "fewer patients with a positive than folds" not in ended.err
    assert "no patient in val" not in ended.err
    shown = cxrlt("info", "dataset.parquet").out
    assert f"3 of the training patients: {', '.join(counts)} images" in shown
    assert f"({(~testing).sum()} train, 0 val, {testing.sum()} test) in 3 folds" in cxrlt("check").out
    assert "--fold 0" in cxrlt("train").err, "without --fold there is no validation split"


def test_more_folds_than_patients_with_a_class_is_a_warning(cxrlt: Run, dataset: Path) -> None:
    ended = cxrlt(*MERGE, "--folds", "11")
    assert ended.code == 0, ended.err
    assert "some fold has none: Hernia" in ended.err


def test_the_same_picture_in_two_folds_is_refused(cxrlt: Run, dataset: Path) -> None:
    assert cxrlt(*MERGE, "--folds", "2").code == 0
    fold = read_dataset(dataset).table.set_index("image_id")["fold"]
    first, second = (fold.index[fold == k][0] for k in (0, 1))
    source = dataset.parent / "source"
    (source / f"pictures/{second[1:]}.png").write_bytes((source / f"pictures/{first[1:]}.png").read_bytes())
    cache = ["cache", "--label-columns", "Cardiomegaly,Effusion,Hernia", "--size", "32", "--name", "pictures", "--overwrite"]
    assert cxrlt(*cache, "--source", f"table={source / 'labels.csv'}").code == 0
    ended = cxrlt(*MERGE, "--folds", "2")
    assert ended.code == 2
    assert "1 images are in two splits or folds" in ended.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--folds", "1"], "--folds 1 is below 2"),
        (["--folds", "0"], "--folds 0 is below 2"),
        (["--folds", "60"], "there are only"),
        (["--folds", "3", "--hold-out", "Effusion"], "--folds and --hold-out exclude each other"),
    ],
)
def test_wrong_folds(options: list[str], says: str, cxrlt: Run, dataset: Path) -> None:
    before = dataset.read_bytes()
    ended = cxrlt(*MERGE, *options)
    assert ended.code == 2
    assert says in ended.err
    assert dataset.read_bytes() == before


@pytest.fixture
def mixed(dataset: Path) -> Dataset:
    """Four training images in two folds and one of the test split; the source does not label the second class."""
    whole = read_dataset(dataset)
    table = (
        whole.table.iloc[:5].assign(split=["train"] * 4 + ["test"], source="s", fold=[0, 0, 1, 1, -1]).reset_index(drop=True)
    )
    targets = np.array([[1, 0], [0, 1], [1, 0], [0, 0], [1, 0]], dtype=np.uint8)
    soft = np.full((5, 2), np.nan, dtype=np.float32)
    soft[0, 1] = 0.5
    effect = {"missing": {"policy": "absent", "evaluation": "ignore", "classes": ["Effusion"]}}
    header = DatasetHeader(folds=2, policies={"s": effect})
    return Dataset(table, ["Hernia", "Effusion"], targets, np.ones((5, 2), bool), whole.settings, header, dataset, soft)


def test_a_held_out_image_has_the_labels_of_validation(mixed: Dataset) -> None:
    first = in_fold(mixed, 0)
    assert first.table["split"].tolist() == ["val", "val", "train", "train", "test"]
    assert first.label_mask.tolist() == [[True, False], [True, False], [True, True], [True, True], [True, True]]
    assert first.targets[:2].tolist() == [[1, 0], [0, 0]]
    assert first.soft is not None
    assert np.isnan(first.soft).all()
    assert in_fold(mixed, None) is mixed
    assert len(first.split("val").table) == 2
    held_out = all_folds(mixed)
    assert held_out.table["image_id"].tolist() == mixed.table["image_id"].tolist()[:4]
    assert not held_out.label_mask[:, 1].any()
    mixed.header.policies["s"]["missing"]["evaluation"] = "absent"
    assert in_fold(mixed, 0).label_mask.all()


def test_folds_that_are_not_there(mixed: Dataset) -> None:
    with pytest.raises(UserError, match="has no fold 2"):
        in_fold(mixed, 2)
    with pytest.raises(UserError, match="has no folds"):
        in_fold(replace(mixed, header=DatasetHeader()), 0)
    with pytest.raises(UserError, match="2 folds instead of a val split"):
        mixed.split("val")


@pytest.mark.parametrize("fold", [[0, 0, 1, 2, -1], [0, 0, 1, 1, 1]])
def test_a_damaged_column(fold: list[int], mixed: Dataset) -> None:
    path = mixed.path.with_name("other.parquet")
    write_dataset(replace(mixed, table=mixed.table.assign(fold=fold), path=path))
    with pytest.raises(UserError, match="column fold does not divide the training images into 2 folds"):
        read_dataset(path)
