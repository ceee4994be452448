"""Merging the images of a study: by hand, on a dataset, and on a challenge's list."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import TRAIN, Run, preparation, type_in
from shared import copied, made_once

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.predictions import read_predictions
from cxrlt_cli.data.studies import Studies
from cxrlt_cli.predict.merge import merge_logits
from cxrlt_cli.predict.merge_studies import merge_by_study


def _studies(codes: list[int], lateral: list[float]) -> Studies:
    return Studies([str(row) for row in range(len(codes))], np.array(codes), np.array(lateral))


def test_by_hand() -> None:
    """Study 1: a frontal of odds 2, a lateral of odds 16, weights 2 : 1: odds 4. Study 0 is one image and keeps its score."""
    logits = np.array([[math.log(2)], [0.3], [math.log(16)]], dtype=np.float32)
    merged = merge_by_study(logits, _studies([1, 0, 1], [0, 1, 1]), "logits", (2.0, 1.0))
    assert merged[:, 0] == pytest.approx([math.log(4), 0.3, math.log(4)], rel=1e-6)
    assert merged[1] == logits[1]


def test_a_view_that_is_not_there_or_not_known() -> None:
    logits = np.array([[1.0], [4.0], [2.0], [6.0]], dtype=np.float32)
    two_frontal_then_lateral_and_unknown = _studies([0, 0, 1, 1], [0, 0, 1, 0.5])
    merged = merge_by_study(logits, two_frontal_then_lateral_and_unknown, "logits", (3.0, 1.0))
    assert merged[:, 0] == pytest.approx([2.5, 2.5, (2 + 2 * 6) / 3, (2 + 2 * 6) / 3])  # the unknown counts as (3 + 1) / 2
    only_laterals = merge_by_study(logits, _studies([0, 0, 1, 2], [1, 1, 0, 0]), "logits", (1.0, 0.0))
    assert only_laterals[:, 0] == pytest.approx([2.5, 2.5, 2, 6])


@pytest.mark.parametrize("how", ["geomean", "mean", "logits"])
def test_studies_never_touch_each_other_and_the_order_of_images_is_nothing(how: str) -> None:
    draws = np.random.default_rng(0)
    codes, lateral = draws.permutation(np.arange(100) % 40), draws.choice([0, 1, 0.5], 100)
    logits = draws.normal(0, 5, (100, 4)).astype(np.float32)
    studies = Studies([str(row) for row in range(100)], codes, lateral)
    merged = merge_by_study(logits, studies, how, (2.0, 1.0))
    for code in np.unique(codes):
        own = codes == code
        expected = merge_logits(logits[own], how, 2 - lateral[own])
        assert np.allclose(merged[own], expected, atol=1e-5)
    shuffled = draws.permutation(100)
    again = merge_by_study(logits[shuffled], studies.of([str(row) for row in shuffled]), how, (2.0, 1.0))
    assert np.allclose(again, merged[shuffled], atol=1e-6)


@pytest.fixture(scope="session")
def made_run(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of `run`, to be copied."""

    def make(folder: Path) -> None:
        pictures = copied(written, folder / "source")
        table = pd.read_csv(pictures / "labels.csv")
        table["study_id"] = "study1"  # as CheXpert's: unique within a patient only
        table.loc[:3, "study_id"] = ""
        table["view"] = np.where(np.arange(len(table)) % 2, "LATERAL", "AP")
        table.to_csv(pictures / "labels.csv", index=False)
        type_in(folder, [*preparation(pictures, folder), [*TRAIN, "--epochs", "1", "--name", "a"]])

    return made_once(tmp_path_factory, "two-views", make)


@pytest.fixture
def run(made_run: Path, tmp_path: Path) -> Path:
    """The workspace of a run on pictures of which the two of a patient are one study, frontal and lateral."""
    return copied(made_run, tmp_path)


def test_each_image_of_a_split_gets_the_score_of_its_study(cxrlt: Run, run: Path) -> None:
    assert cxrlt("predict", "--name", "images").code == 0
    ended = cxrlt("predict", "--name", "studies", "--study", "3:1", "--merge", "logits", "--submission", "s.csv")
    assert ended.code == 0, ended.err
    images, studies = (read_predictions(run / f"predictions/{name}.parquet") for name in ("images", "studies"))
    assert images.image_ids == studies.image_ids
    table = read_dataset(run / "dataset.parquet").split("test").table
    for _, rows in table.groupby("patient_id"):
        alone = (rows["study_id"].isna() | (rows["study_id"] == "")).any()
        own = images.logits[rows.index]
        expected = own if alone else np.average(own, axis=0, weights=np.where(rows["view"] == "AP", 3, 1))
        assert np.allclose(studies.logits[rows.index], expected, atol=1e-5)
    assert len(pd.read_csv(run / "s.csv")) == len(table)
    assert "studies of" in ended.err
    assert studies.header.study == "3:1"
    assert cxrlt("ensemble", "images", "--study", "3:1", "--merge", "logits").code == 0
    again = read_predictions(run / "predictions/ensemble.parquet")
    assert np.allclose(again.logits, studies.logits, atol=1e-5)


def test_a_list_says_studies_and_views_of_its_own(cxrlt: Run, run: Path) -> None:
    table = pd.read_csv(run / "source/labels.csv").iloc[[10, 30, 31, 11, 50]]
    table = table.rename(columns={"image_id": "dicom_id", "view": "ViewPosition"}).assign(
        study_id=["s1", "s2", "s2", "s1", "s3"]
    )
    table.to_csv(run / "list.csv", index=False)
    given = ["predict", "a", "--images", run / "source", "--list", run / "list.csv"]
    assert cxrlt(*given, "--name", "images").code == 0
    ended = cxrlt(*given, "--name", "studies", "--study", "equal", "--batch-size", "2")
    assert ended.code == 0, ended.err
    assert "3 studies of 5 images: 2 with both views, 1 without a lateral one" in ended.err
    images, studies = (read_predictions(run / f"predictions/{name}.parquet") for name in ("images", "studies"))
    for rows in ([0, 3], [1, 2], [4]):
        assert np.allclose(studies.logits[rows], merge_logits(images.logits[rows], "geomean"), atol=1e-5)
    for more, says in (
        (["--study", "equal", "--study-column", "study"], "has no column study"),
        (["--study", "two"], "unknown --study"),
        (["--study", "0:0"], "unknown --study"),
    ):
        ended = cxrlt(*given, "--name", "x", *more)
        assert ended.code == 2
        assert says in ended.err
    assert "--study with --images needs --list" in cxrlt("predict", "--images", run / "source", "--study", "equal").err
