"""The same picture under two patients, byte for byte and re-encoded."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from PIL import Image

from cxrlt_cli.labels.near_duplicates import same_pictures


def _read_none(rows: np.ndarray) -> np.ndarray:
    raise AssertionError("nothing to compare")


def test_equal_hashes_of_one_patient_are_no_leak() -> None:
    hashes = np.tile(np.arange(1, 6, dtype=np.uint64), (3, 1))
    assert same_pictures(hashes, np.array([7, 7, 7]), _read_none) == []


def test_equal_hashes_are_decided_by_the_pixels() -> None:
    hashes = np.tile(np.arange(1, 6, dtype=np.uint64), (2, 1))
    draws = np.random.default_rng(0).integers(0, 255, (2, 16, 16), np.uint8)
    assert same_pictures(hashes, np.array([1, 2]), lambda rows: draws[rows]) == []
    (pair,) = same_pictures(hashes, np.array([1, 2]), lambda rows: draws[rows * 0])
    assert (pair.first, pair.second, pair.exact) == (0, 1, True)


def test_every_pair_of_up_to_seven_differing_bits_is_a_candidate() -> None:
    draws = np.random.default_rng(0)
    hashes = draws.integers(1, 1 << 63, (400, 5), dtype=np.uint64)
    for row in range(0, 400, 2):  # row + 1 differs in seven bits
        bits = np.unpackbits(hashes[row, 1:].view(np.uint8))
        bits[draws.choice(256, 7, replace=False)] ^= 1
        hashes[row + 1, 1:] = np.packbits(bits).view(np.uint64)
    picture = draws.integers(0, 255, (1, 16, 16), np.uint8)
    found = same_pictures(hashes, np.arange(400), lambda rows: np.repeat(picture, len(rows), axis=0))
    assert [(pair.first, pair.second) for pair in found] == [(row, row + 1) for row in range(0, 400, 2)]


@pytest.fixture
def copies(cxrlt: Run, real_data: Path, tmp_path: Path) -> Path:
    """40 real radiographs of 40 patients as one source; another with one of them re-encoded, one the same, and eight others."""
    files = sorted((real_data / "chestxray14-256/images").glob("*.png"))[:48]
    for name, chosen in (("a", files[:40]), ("b", files[40:])):
        (tmp_path / name).mkdir()
        rows = []
        for file in chosen:
            with Image.open(file) as image:
                image.convert("L").save(tmp_path / name / file.name)
            rows.append([file.stem, file.name, f"{name}-{file.stem}", 1, "train" if name == "a" else "test"])
        if name == "b":
            with Image.open(files[3]) as image:
                image.convert("L").resize((230, 230), Image.Resampling.BICUBIC).save(tmp_path / "b/again.jpg", quality=70)
                image.convert("L").save(tmp_path / "b/same.png")
            rows += [["again", "again.jpg", "x", 1, "test"], ["same", "same.png", "y", 0, "test"]]
        with (tmp_path / name / "labels.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["image_id", "path", "patient_id", "Edema", "split"], *rows])
        source = f"table={tmp_path / name / 'labels.csv'}"
        ended = cxrlt("cache", "--source", source, "--name", name, "--label-columns", "Edema", "--size", "128")
        assert ended.code == 0, ended.err
    return tmp_path


def test_a_picture_in_two_splits_is_refused_with_the_pairs(cxrlt: Run, copies: Path) -> None:
    ended = cxrlt("merge")
    assert ended.code == 2
    original = pd.read_csv(copies / "a/labels.csv")["image_id"][3]
    assert "2 images are in two splits" in ended.err
    assert f"{original} ~ again" in ended.err
    assert f"{original} = same" in ended.err
    assert not (copies / "dataset.parquet").exists()


def test_a_picture_in_two_splits_can_be_left_out(cxrlt: Run, copies: Path) -> None:
    ended = cxrlt("merge", "--same-picture", "first")
    assert ended.code == 0, ended.err
    assert "2 images are duplicates of another patient's image" in ended.err
    ids = set(pd.read_parquet(copies / "dataset.parquet")["image_id"])
    assert len(ids) == 48
    assert not {"again", "same"} & ids
