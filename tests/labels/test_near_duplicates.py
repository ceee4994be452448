"""The same picture under two patients: byte for byte, re-encoded, mirrored, inverted, cropped, framed or turned."""

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import Run
from PIL import Image

from cxrlt_cli.labels.near_duplicates import same_pictures
from cxrlt_cli.preprocess.image_hashes import hashes_of
from cxrlt_cli.preprocess.settings import PixelSettings, read_square


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


def _smooth_pictures(count: int, size: int = 128) -> list[np.ndarray]:
    """Pictures of noise at several scales: bright in the middle and dark at the border, all different."""
    draws = np.random.default_rng(5)
    around = np.hanning(size + 2)[1:-1]
    pictures = []
    for _ in range(count):
        fields = [cv2.GaussianBlur(draws.normal(size=(size, size)), (0, 0), sigma) * sigma for sigma in (1, 4, 12)]
        pictures.append(np.clip(60 + 90 * np.outer(around, around) + 60 * sum(fields), 0, 255).astype(np.uint8))
    return pictures


def _cropped(picture: np.ndarray) -> np.ndarray:
    """Two percent less at each side."""
    cut = round(0.02 * len(picture))
    return cv2.resize(picture[cut:-cut, cut:-cut], picture.shape, interpolation=cv2.INTER_AREA)


def _framed(picture: np.ndarray) -> np.ndarray:
    """A black border of three percent around it."""
    border = round(0.03 * len(picture))
    return cv2.resize(np.pad(picture, border), picture.shape, interpolation=cv2.INTER_AREA)


def _turned(picture: np.ndarray) -> np.ndarray:
    """By one degree around its middle."""
    middle = (len(picture) - 1) / 2
    return cv2.warpAffine(picture, cv2.getRotationMatrix2D((middle, middle), 1.0, 1.0), picture.shape)


SEEN = {
    "mirrored": lambda one: one[:, ::-1],
    "inverted": lambda one: 255 - one,
    "mirrored and inverted": lambda one: 255 - one[:, ::-1],
}
UNSEEN = {"cropped": _cropped, "framed": _framed, "turned": _turned}


def _pairs(pictures: list[np.ndarray], change: Callable[[np.ndarray], np.ndarray]) -> list[tuple[int, int, str]]:
    """The pairs found among pictures and their changed copies, each under a patient of its own; copy k has number n + k."""
    squares = np.stack([*pictures, *(np.ascontiguousarray(change(one)) for one in pictures)])
    found = same_pictures(np.stack([hashes_of(one) for one in squares]), np.arange(len(squares)), lambda rows: squares[rows])
    assert not any(pair.exact for pair in found)
    return [(pair.first, pair.second, pair.change) for pair in found]


@pytest.mark.parametrize("change", SEEN)
def test_every_mirrored_or_inverted_copy_is_found_and_no_other_pair(change: str) -> None:
    assert _pairs(_smooth_pictures(20), SEEN[change]) == [(row, 20 + row, change) for row in range(20)]


@pytest.mark.parametrize("change", UNSEEN)
def test_other_changes_give_no_false_pair(change: str) -> None:
    assert set(_pairs(_smooth_pictures(20), UNSEEN[change])) <= {(row, 20 + row, "") for row in range(20)}


def test_changed_copies_of_real_radiographs(real_data: Path) -> None:
    files = sorted((real_data / "chestxray14-256/images").glob("*.png"))[:60]
    pictures = [read_square(file, PixelSettings(224)) for file in files]
    assert _pairs(pictures, SEEN["mirrored"]) == [(row, 60 + row, "mirrored") for row in range(60)]
    for name in ("inverted", *UNSEEN):
        change = {**SEEN, **UNSEEN}[name]
        assert {pair[:2] for pair in _pairs(pictures, change)} <= {(row, 60 + row) for row in range(60)}, name


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
