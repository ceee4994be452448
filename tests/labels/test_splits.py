"""Patients to splits."""

import numpy as np
import pandas as pd
import pytest

from cxrlt_cli.errors import UserError
from cxrlt_cli.labels.splits import split_patients

SHARES = (0.7, 0.1, 0.2)


def _patients(count: int, images: int, seed: int = 0) -> tuple[pd.Series, np.ndarray]:
    """`images` images of `count` patients, and labels with a tail that depend on the patient."""
    draws = np.random.default_rng(seed)
    owner = np.sort(draws.integers(0, count, images))
    tendency = draws.random((count, 5)) < np.array([0.4, 0.2, 0.1, 0.04, 0.02])
    return pd.Series([f"p{number}" for number in owner]), tendency[owner] & (draws.random((images, 5)) < 0.8)


def _free(count: int) -> pd.Series:
    return pd.Series([None] * count, dtype=object)


def test_a_patient_is_in_one_split_and_shares_are_kept() -> None:
    patients, positive = _patients(300, 1000)
    split = split_patients(patients, _free(1000), positive, SHARES, seed=0)
    assert (pd.Series(split).groupby(patients).nunique() == 1).all()
    assert np.abs(np.bincount(split, minlength=3) / 1000 - SHARES).max() < 0.02


def test_rare_classes_have_their_share_in_each_split() -> None:
    patients, positive = _patients(1000, 3000)
    split = split_patients(patients, _free(3000), positive, SHARES, seed=0)
    for column in range(5):
        total = positive[:, column].sum()
        for index, share in enumerate(SHARES):
            having = positive[split == index, column].sum()
            assert abs(having - share * total) <= max(4, 0.03 * total), (column, index, having, total)


def test_two_patients_of_a_class_go_to_two_splits() -> None:
    """9 positives in 2 patients, as the real Hernia: the larger learns, the other tests."""
    patients = pd.Series(["a"] * 8 + ["b"] + [f"p{number}" for number in range(91)])
    positive = np.zeros((100, 1), dtype=bool)
    positive[:9] = True
    split = split_patients(patients, _free(100), positive, SHARES, seed=0)
    assert split[0] == 0
    assert split[8] == 2


def test_official_lists_are_kept() -> None:
    patients, positive = _patients(200, 600)
    official = _free(600)
    official[patients.isin([f"p{number}" for number in range(40)])] = "test"
    official[patients.isin([f"p{number}" for number in range(40, 200)])] = "train_val"
    split = split_patients(patients, official, positive, SHARES, seed=0)
    assert (split[(official == "test").to_numpy()] == 2).all()
    divided = split[(official == "train_val").to_numpy()]
    assert set(divided) == {0, 1}
    assert 0.7 < (divided == 0).mean() < 0.97


def test_an_unlisted_image_follows_its_patient() -> None:
    patients = pd.Series(["a", "a", "b", "c"])
    official = pd.Series(["test", None, "train", "val"], dtype=object)
    split = split_patients(patients, official, np.zeros((4, 1), bool), SHARES, seed=0)
    assert split.tolist() == [2, 2, 0, 1]


def test_a_patient_in_two_official_splits_is_refused() -> None:
    patients, official = pd.Series(["a", "a", "b"]), pd.Series(["test", "train", "train"], dtype=object)
    with pytest.raises(UserError, match="1 patients are in two official splits: a"):
        split_patients(patients, official, np.zeros((3, 1), bool), SHARES, seed=0)


def test_a_split_without_a_share_stays_empty() -> None:
    patients, positive = _patients(100, 300)
    assert set(split_patients(patients, _free(300), positive, (0.8, 0.2, 0.0), seed=0)) == {0, 1}


def test_the_order_of_rows_changes_nothing_and_the_seed_something() -> None:
    patients, positive = _patients(200, 600)
    order = np.random.default_rng(1).permutation(600)
    first = split_patients(patients, _free(600), positive, SHARES, seed=0)
    again = split_patients(patients.iloc[order].reset_index(drop=True), _free(600), positive[order], SHARES, seed=0)
    assert (first[order] == again).all()
    assert (first != split_patients(patients, _free(600), positive, SHARES, seed=1)).any()
