"""Batches of a split."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run, write_pictures

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.image_pixels import ImageReader
from cxrlt_cli.data.batches import Batch, batches, epoch_draws, rows_in_order
from cxrlt_cli.data.dataset_images import DatasetImages


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


def test_what_is_done_ahead_changes_neither_order_nor_rows_and_its_errors_arrive(
    cxrlt: Run, dataset: Path, tmp_path: Path
) -> None:
    train = read_dataset(dataset).split("train")
    chosen = [np.array([row, row + 1]) for row in range(30)]

    def slow(batch: Batch) -> Batch:
        time.sleep(0.01 * (batch.rows[0] % 3 == 0))
        return replace(batch, images=batch.images.float() + 1)

    plain, made = (list(batches(train, DatasetImages(train), chosen, ahead)) for ahead in (None, slow))
    assert [batch.rows.tolist() for batch in made] == [rows.tolist() for rows in chosen]
    assert all(torch.equal(one.images + 1.0, other.images) for one, other in zip(plain, made, strict=True))

    def fails(batch: Batch) -> Batch:
        raise OSError(f"row {batch.rows[0]}")

    with pytest.raises(OSError, match="row 0"):
        list(batches(train, DatasetImages(train), chosen, fails))


def test_reading_takes_no_threads_from_the_network(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    train = read_dataset(dataset).split("train")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert len(list(batches(train, DatasetImages(train), rows_in_order(len(train.table), 8)))) > 1
        assert torch.get_num_threads() == 2
        assert torch.mm(torch.ones(300, 300), torch.ones(300, 300)).max() == 300
    finally:
        torch.set_num_threads(before)
