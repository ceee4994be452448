"""From real radiographs to a scored test set, by the commands that a user types."""

import json
from pathlib import Path

import numpy as np
from conftest import Run

from cxrlt_cli.artifacts.dataset import read_dataset


def _done(cxrlt: Run, *arguments: object) -> str:
    ended = cxrlt(*arguments)
    assert ended.code == 0, ended.err
    return ended.err


def test_two_sources_of_real_radiographs(real_data: Path, cxrlt: Run, tmp_path: Path) -> None:
    nih, enriched = real_data / "chestxray14", real_data / "chestxray14-256"
    table = nih / "Data_Entry_2017_v2020.csv.gz"
    said = cxrlt("cache", "--source", f"chestxray14={nih}", "--size", 32)
    assert said.code == 2
    assert "lists 112120 images, 111120 of them are not" in said.err
    _done(cxrlt, "cache", "--source", f"chestxray14={nih}", "--allow-missing", "--size", 32)
    _done(
        cxrlt,
        "cache",
        "--source",
        f"chestxray14={enriched}",
        "--labels",
        table,
        "--allow-missing",
        "--size",
        32,
        "--name",
        "nih256",
    )
    _done(cxrlt, "embed-labels", "--encoder", "ngram")
    said = cxrlt("merge")
    assert said.code == 2
    assert "3 image ids are in more than one source" in said.err
    _done(cxrlt, "merge", "--duplicate-ids", "first")

    dataset = read_dataset(tmp_path / "dataset.parquet")
    assert len(dataset.table) == 1000 + 467 - 3
    assert dataset.table["source"].value_counts().to_dict() == {"chestxray14": 1000, "nih256": 464}
    assert (dataset.table.groupby("patient_id")["split"].nunique() == 1).all(), "the four patients of both are in one split"
    assert dataset.label_mask.all()
    shares = dataset.table["split"].value_counts(normalize=True)
    assert np.allclose([shares["train"], shares["val"], shares["test"]], [0.7, 0.1, 0.2], atol=0.01)

    small = [
        "--encoder",
        "timm:test_resnet",
        "--weights",
        "none",
        "--decoder-layers",
        1,
        "--decoder-width",
        64,
        "--decoder-feedforward",
        64,
    ]
    _done(cxrlt, "train", *small, "--epochs", 1)
    said_by_train = _done(cxrlt, "train", *small, "--epochs", 1, "--reweight", "hard9:3")
    assert "hard classes" in said_by_train
    _done(cxrlt, "predict", "--tta", 8, "--merge", "geomean")
    _done(cxrlt, "evaluate", "--bootstrap", 20)
    metrics = json.loads((tmp_path / "evaluations/test_resnet-hard9x3-test-tta8/metrics.json").read_text())
    assert 0 < metrics["mAP"] < 1
    assert metrics["classes"] == 14
