"""`merge --hold-out`: classes that no training label names."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import Run

from cxrlt_cli.artifacts.dataset import Dataset, HeldOut, read_dataset
from cxrlt_cli.errors import UserError
from cxrlt_cli.labels.hold_out import held_out_columns, hold_out

CLASSES = ["Cardiomegaly", "Effusion", "Mass, large", "Edema"]


def test_names_and_synonyms_separated_by_commas_or_given_one_by_one() -> None:
    assert held_out_columns(["edema,Pleural Effusion"], CLASSES).tolist() == [False, True, False, True]
    assert held_out_columns(["Mass, large", "Edema"], CLASSES).tolist() == [False, False, True, True]
    assert not held_out_columns([], CLASSES).any()


@pytest.mark.parametrize(
    ("given", "says"),
    [("Edma", "--hold-out 'Edma' is no class of the dataset; nearest is 'Edema'"), (",".join(CLASSES[:2]), None)],
)
def test_a_class_that_does_not_exist(given: str, says: str | None) -> None:
    if says is None:
        assert held_out_columns([given], CLASSES).sum() == 2
    else:
        with pytest.raises(UserError, match=says):
            held_out_columns([given], CLASSES)


def test_all_classes_held_out() -> None:
    with pytest.raises(UserError, match="names all 2 classes"):
        held_out_columns(["A,B"], ["A", "B"])


TARGETS = np.array([[1, 0], [0, 1], [1, 1], [0, 1], [0, 0]], dtype=np.uint8)
TRAINING = np.array([True, True, True, False, True])


@pytest.mark.parametrize(("mode", "keep"), [("left-out", [1, 0, 0, 1, 1]), ("unknown", [1, 1, 1, 1, 1])])
def test_training_labels_become_unknown_and_images_are_left_out(mode: str, keep: list[int]) -> None:
    targets, label_mask = TARGETS.copy(), np.ones((5, 2), dtype=bool)
    label_mask[4, 0] = False
    kept, counts = hold_out(targets, label_mask, TRAINING, np.array([False, True]), mode)
    assert kept.astype(int).tolist() == keep
    assert counts == [2]
    assert label_mask.astype(int).tolist() == [[1, 0], [1, 0], [1, 0], [1, 1], [0, 0]]
    assert targets.tolist() == [[1, 0], [0, 0], [1, 0], [0, 1], [0, 0]]


def test_no_training_image_without_a_held_out_class() -> None:
    ones = np.ones((3, 2), dtype=np.uint8)
    with pytest.raises(UserError, match="every training image has"):
        hold_out(ones, ones == 1, ones[:, 0] == 1, np.array([False, True]), "left-out")


def _merged(cxrlt: Run, folder: Path, *flags: object) -> Dataset:
    ended = cxrlt("merge", "--label-space", "classes.txt", "--split", "50,25,25", "--overwrite", *flags)
    assert ended.code == 0, ended.err
    return read_dataset(folder / "dataset.parquet")


def test_a_dataset_with_a_held_out_class(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    whole = read_dataset(dataset)
    assert not whole.unseen.any()
    train, had = whole.split("train"), whole.split("train").targets[:, 1] == 1

    found = _merged(cxrlt, tmp_path, "--hold-out", "Pleural Effusion")
    assert found.unseen.tolist() == [False, True, False]
    ids = found.split("train").table["image_id"]
    assert ids.tolist() == train.table["image_id"][~had].tolist()
    assert not found.split("train").label_mask[:, 1].any()
    assert found.header.held_out == HeldOut(["Effusion"], "left-out", had.sum(), {"Effusion": had.sum()})
    shown = cxrlt("info", "dataset.parquet")
    assert f"Effusion; {had.sum()} training images left out" in shown.out
    for split in ("val", "test"):
        assert np.array_equal(found.split(split).targets, whole.split(split).targets)
        assert found.split(split).label_mask.all()

    unknown = _merged(cxrlt, tmp_path, "--hold-out", "Effusion", "--hold-out-as", "unknown")
    assert unknown.split("train").table["image_id"].tolist() == train.table["image_id"].tolist()
    assert not unknown.split("train").label_mask[:, 1].any()
    assert np.array_equal(unknown.split("train").targets[:, [0, 2]], train.targets[:, [0, 2]])


def test_neither_pseudo_labels_nor_soft_targets_train_a_held_out_class(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    table = pd.read_csv(tmp_path / "source/labels.csv")
    table[["Effusion", "Hernia"]] = -1
    table.to_csv(tmp_path / "source/labels.csv", index=False)
    source = ["--source", f"table={tmp_path / 'source/labels.csv'}", "--name", "pictures", "--overwrite"]
    labels = ["--label-columns", "Cardiomegaly,Effusion,Hernia", "--size", "32"]
    assert cxrlt("cache", *source, *labels).code == 0
    found = _merged(cxrlt, tmp_path, "--uncertain", "soft:0.6-0.8", "--hold-out", "Effusion").split("train")
    assert found.soft is not None
    assert np.isnan(found.soft[:, 1]).all()
    assert (found.soft[:, 2] >= 0.6).all()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--hold-out", "Hernias"], "nearest is 'Hernia'"),
        (["--hold-out", "Cardiomegaly,Effusion,Hernia"], "names all 3 classes"),
        (["--hold-out-as", "unknown"], "--hold-out-as needs --hold-out"),
    ],
)
def test_bad_flags_change_nothing(flags: list[str], says: str, cxrlt: Run, dataset: Path) -> None:
    before = dataset.read_bytes()
    ended = cxrlt("merge", "--label-space", "classes.txt", "--overwrite", *flags)
    assert ended.code == 2
    assert says in ended.err
    assert dataset.read_bytes() == before


def test_a_header_that_names_a_class_that_is_not_there(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    _merged(cxrlt, tmp_path, "--hold-out", "Effusion")
    table = pq.read_table(dataset)
    metadata = {key: value.replace(b'["Effusion"]', b'["Mass"]') for key, value in table.schema.metadata.items()}
    pq.write_table(table.replace_schema_metadata(metadata), dataset)
    with pytest.raises(UserError, match="held_out names Mass"):
        read_dataset(dataset)
