"""Batches of a split."""

from pathlib import Path

import numpy as np
from conftest import Run, write_pictures

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.images import ImageReader
from cxrlt_cli.data.batches import batches, epoch_draws, rows_in_order
from cxrlt_cli.data.images import DatasetImages


def test_an_epoch_has_whole_batches_and_every_row_at_most_once() -> None:
    rows = epoch_draws(100, 16, seed=0, epoch=3)
    assert [len(batch) for batch in rows] == [16] * 6
    assert len(set(np.concatenate(rows))) == 96
    left_out = {frozenset(set(range(100)) - set(np.concatenate(epoch_draws(100, 16, 0, epoch)))) for epoch in range(5)}
    assert len(left_out) == 5, "other rows are left out in each epoch"


def test_fewer_rows_than_a_batch_are_one_batch() -> None:
    assert [len(batch) for batch in epoch_draws(5, 16, 0, 0)] == [5]


def test_validation_has_every_row_once_in_order() -> None:
    assert np.concatenate(rows_in_order(10, 4)).tolist() == list(range(10))
    assert [len(batch) for batch in rows_in_order(10, 4)] == [4, 4, 2]
    assert [len(batch) for batch in rows_in_order(8, 4)] == [4, 4]


def test_batches_have_the_pixels_and_labels_of_their_rows(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "more", 30, seed=5)
    table = (tmp_path / "more/labels.csv").read_text().replace("\ni0", "\nm0")
    (tmp_path / "more/labels.csv").write_text(table)
    source = ["--source", f"table={tmp_path / 'more/labels.csv'}", "--name", "more", "--size", 32]
    assert cxrlt("cache", *source, "--label-columns", "Cardiomegaly,Effusion,Hernia").code == 0
    assert cxrlt("merge", "--label-space", tmp_path / "classes.txt", "--overwrite").code == 0
    train = read_dataset(dataset).split("train")
    assert set(train.table["source"]) == {"pictures", "more"}, "two image files feed one batch"
    order = np.random.default_rng(0).permutation(len(train.table))
    chosen = [order[:7], order[7:20]]
    readers = {name: ImageReader(tmp_path / name) for name in train.table["cache"].unique()}
    for batch, rows in zip(batches(train, DatasetImages(train), chosen), chosen, strict=True):
        assert batch.rows.tolist() == rows.tolist()
        assert (batch.targets.numpy() == train.targets[rows]).all()
        for image, row in zip(batch.images.numpy(), rows, strict=True):
            entry = train.table.iloc[row]
            assert (readers[entry["cache"]].read(np.array([entry["row"]]))[0] == image).all()
