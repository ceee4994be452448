"""`train --features` on a dataset with folds: in the study of all folds, and by two ranks."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run, ended, start_ranks, type_in
from folded import studies_in_this_process
from shared import copied, made_once

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.predictions import read_predictions
from cxrlt_cli.artifacts.run import Run as RunFolder
from cxrlt_cli.artifacts.run_config import read_best
from cxrlt_cli.model.encoder import VisualEncoder

ENCODER = ["--encoder", "timm:test_resnet", "--weights", "tiny.pth"]
HEAD = [*ENCODER, "--features", "maps", "--epochs", "1", "--batch-size", "16", "--lr", "1e-2", "--queries", "none"]
STUDY = ["study", "folds", "--train", " ".join(HEAD), "--resamples", "100", "--name", "heads"]


@pytest.fixture(scope="module")
def made_heads(made_folds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with folds, weights of an encoder, its feature maps, and the study of heads that are trained on them."""

    def make(folder: Path) -> None:
        copied(made_folds, folder)
        torch.manual_seed(1)
        torch.save(VisualEncoder("timm:test_resnet").network.state_dict(), folder / "tiny.pth")
        with studies_in_this_process():
            type_in(folder, [["features", *ENCODER, "--batch-size", "16", "--name", "maps"], STUDY])

    return made_once(tmp_path_factory, "heads-of-folds", make)


@pytest.fixture
def heads(made_heads: Path, tmp_path: Path) -> Path:
    return copied(made_heads, tmp_path)


def _runs(folder: Path) -> list[RunFolder]:
    """The runs of the study, one a fold."""
    (runs,) = zip(*json.loads((folder / "studies/heads/study.json").read_text())["runs"].values(), strict=True)
    return [RunFolder(folder / "studies/runs" / name) for (name,) in runs]


def test_each_fold_is_scored_by_the_head_that_held_it_out(cxrlt: Run, heads: Path) -> None:
    dataset = read_dataset(heads / "dataset.parquet")
    for fold, run in enumerate(_runs(heads)):
        held_out = dataset.table["image_id"][dataset.table["fold"] == fold].tolist()
        validation = read_predictions(run.validation)
        assert validation.image_ids == held_out
        assert json.loads(run.config.read_text())["features"]["path"].endswith("/features/maps.h5")
    done = cxrlt("predict", run.folder, "--split", "val", "--batch-size", "16", "--name", "pixels")
    assert done.code == 0, done.err
    pixels = read_predictions(heads / "predictions/pixels.parquet")
    np.testing.assert_allclose(pixels.logits, validation.logits, atol=1e-6)


def test_two_ranks_train_the_head_of_one(heads: Path) -> None:
    ranks = ended(start_ranks(2, "train", *HEAD, "--fold", "1", "--name", "two", cwd=heads))
    assert [rank.code for rank in ranks] == [0, 0], ranks[0].err + ranks[1].err
    one, two = (read_best(run).model for run in (_runs(heads)[1], RunFolder(heads / "runs/two")))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, msg=name)


def test_a_study_knows_features_by_name_and_by_content(cxrlt: Run, heads: Path) -> None:
    done = cxrlt(*STUDY[:3], STUDY[3].replace("maps", "nowhere"), *STUDY[4:])
    assert done.code == 2
    assert "'nowhere' is neither a name under" in done.err
    assert cxrlt("features", *ENCODER, "--views", "2", "--batch-size", "96", "--name", "maps", "--overwrite").code == 0
    done = cxrlt(*STUDY)
    assert done.code == 2
    assert "holds a study of other variants, flags or seeds" in done.err
