"""`cxrlt fuse` as a command, and its run in `cxrlt predict`."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import TRAIN, Run, preparation, type_in
from shared import copied, made_once

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.predictions import read_predictions
from cxrlt_cli.predict.merge import merge_logits


@pytest.fixture(scope="session")
def made_run(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of `run`, to be copied."""

    def make(folder: Path) -> None:
        pictures = copied(written, folder / "source")
        table = pd.read_csv(pictures / "labels.csv")
        number = np.searchsorted(np.cumsum(np.tile([1, 2, 3, 4], 10)), np.arange(len(table)), side="right")
        table["patient_id"] = [f"p{one}" for one in number]
        table["study_id"] = [f"s{one}" for one in number]
        table.to_csv(pictures / "labels.csv", index=False)
        type_in(folder, [*preparation(pictures, folder), [*TRAIN, "--epochs", "1", "--name", "a"]])

    return made_once(tmp_path_factory, "studies", make)


@pytest.fixture
def run(made_run: Path, tmp_path: Path) -> Path:
    """The workspace of a run `a` on pictures in studies of one to four images, of a patient each."""
    return copied(made_run, tmp_path)


def _logits(workspace: Path, name: str) -> np.ndarray:
    return read_predictions(workspace / f"predictions/{name}.parquet").logits


def test_a_fused_run_scores_studies_whatever_the_batch(cxrlt: Run, run: Path) -> None:
    ended = cxrlt("fuse", "a", "--epochs", "3", "--batch-size", "8")
    assert ended.code == 0, ended.err
    folder = run / "runs/a-fused"
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "history.jsonl", "status.json", "best.pt", "validation.parquet"}
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    status = json.loads((folder / "status.json").read_text())
    assert [entry["epoch"] for entry in history] == [0, 1, 2, 3]
    assert status["best_mAP"] == max(entry["mAP"] for entry in history) >= history[0]["mAP"]
    for name, more in (("one", ["--batch-size", "1"]), ("seven", ["--batch-size", "7"]), ("views", ["--tta", "2"])):
        ended = cxrlt("predict", "a-fused", "--split", "val", "--name", name, *more)
        assert ended.code == 0, ended.err
    seen = read_predictions(folder / "validation.parquet")
    found = read_predictions(run / "predictions/one.parquet")
    assert found.image_ids == seen.image_ids
    assert found.header.study == "fused"
    assert np.allclose(found.logits, seen.logits, atol=1e-5)
    assert np.allclose(found.logits, _logits(run, "seven"), atol=1e-5)
    for _, rows in read_dataset(run / "dataset.parquet").split("val").table.groupby("study_id"):
        for logits in (found.logits, _logits(run, "views")):
            assert np.ptp(logits[rows.index], axis=0).max() == 0
    _ensembles_and_lists(cxrlt, run)


def _ensembles_and_lists(cxrlt: Run, run: Path) -> None:
    """A fused run beside another, and on a list of files that says which are of one study."""
    for names in (["a"], ["a-fused"], ["a", "a-fused"]):
        assert cxrlt("predict", *names, "--name", "+".join(names)).code == 0
    expected = merge_logits(np.stack([_logits(run, "a"), _logits(run, "a-fused")]), "geomean")
    assert np.allclose(_logits(run, "a+a-fused"), expected, atol=1e-5)
    table = pd.read_csv(run / "source/labels.csv").rename(columns={"image_id": "dicom_id"})
    ids = read_predictions(run / "predictions/a.parquet").image_ids
    table[table["dicom_id"].isin(ids)].sample(frac=1, random_state=0).to_csv(run / "list.csv", index=False)
    given = ["predict", "a-fused", "--images", run / "source"]
    assert cxrlt(*given, "--list", run / "list.csv", "--name", "list", "--batch-size", "5").code == 0
    listed = read_predictions(run / "predictions/list.parquet")
    assert np.allclose(listed.logits[[listed.image_ids.index(name) for name in ids]], _logits(run, "a-fused"), atol=1e-5)
    ended = cxrlt(*given, "--name", "x")
    assert ended.code == 2
    assert "a fused run with --images needs --list" in ended.err


def test_before_the_first_step_it_is_the_mean_of_logits_and_training_repeats_to_the_bit(cxrlt: Run, run: Path) -> None:
    assert cxrlt("fuse", "a", "--epochs", "1", "--lr", "1e-30", "--weight-decay", "0", "--name", "mean").code == 0
    assert cxrlt("predict", "mean", "--name", "fused").code == 0
    assert cxrlt("predict", "a", "--study", "equal", "--merge", "logits", "--name", "merged").code == 0
    assert np.allclose(_logits(run, "fused"), _logits(run, "merged"), atol=1e-5)
    for name in ("b", "c"):
        assert cxrlt("fuse", "a", "--epochs", "2", "--name", name).code == 0
    b, c = (torch.load(run / f"runs/{name}/best.pt", weights_only=True)["fusion"] for name in ("b", "c"))
    assert all(torch.equal(b[name], c[name]) for name in b)


def test_wrong_usage(cxrlt: Run, run: Path) -> None:
    assert cxrlt(*TRAIN, "--epochs", "1", "--queries", "none", "--name", "plain").code == 0
    assert cxrlt("fuse", "a", "--epochs", "1", "--name", "fused").code == 0
    for arguments, says in (
        (["d"], "'d' is no run"),
        (["plain"], "has no label features"),
        (["fused", "--name", "again"], "is fused already"),
        (["a", "--name", "fused"], "exists"),
        (["a", "--name", "a", "--overwrite"], "is the run whose network is used"),
        (["a", "--epochs", "0"], "--epochs and --batch-size"),
        (["a", "--lr", "0"], "--lr is above 0"),
    ):
        ended = cxrlt("fuse", *arguments)
        assert ended.code == 2
        assert says in ended.err
    best = run / "runs/fused/best.pt"
    content = torch.load(best, weights_only=True)
    content["fusion"].pop("attention")
    torch.save(content, best)
    ended = cxrlt("predict", "fused")
    assert ended.code == 2
    assert "the fusion weights do not fit" in ended.err
