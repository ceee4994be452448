"""Faults found in published code of this field, each held against the whole pipeline. None may come back.

Others are tested where they would arise: attention across the batch (tests/model/test_decoder.py), patients in two splits
(tests/labels/test_splits.py), a focus turned round in the asymmetric loss (tests/tricks/test_asymmetric.py), an AP of 0 for a
class without positives (tests/metrics/test_ranking.py), images that are silently replaced (tests/preprocess/test_cache.py).
"""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import CLASSES, TRAIN, Run

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, read_predictions, write_predictions


def _logits(workspace: Path, name: str) -> np.ndarray:
    return read_predictions(workspace / f"predictions/{name}.parquet").logits


@pytest.mark.parametrize("queries", ["text", "csra"])
def test_a_prediction_depends_on_its_image_alone(queries: str, cxrlt: Run, dataset: Path) -> None:
    """Batches of 1, of 7 (the last one smaller) and of all; and an image in other company, from its file."""
    workspace = dataset.parent
    assert cxrlt(*TRAIN, "--epochs", "1", "--queries", queries, "--name", "a").code == 0
    for size in ("1", "7", "64"):
        assert cxrlt("predict", "a", "--tta", "2", "--batch-size", size, "--name", size).code == 0
    whole = read_predictions(workspace / "predictions/64.parquet")
    for size in ("1", "7"):
        assert np.allclose(_logits(workspace, size), whole.logits, atol=1e-5)
    table = pd.read_csv(workspace / "source/labels.csv").rename(columns={"image_id": "dicom_id"})
    few = table[table["dicom_id"].isin(whole.image_ids[3:9:2])].iloc[::-1]
    few.to_csv(workspace / "few.csv", index=False)
    given = ["--images", workspace / "source", "--list", workspace / "few.csv", "--name", "few", "--tta", "2"]
    assert cxrlt("predict", "a", *given).code == 0
    found = read_predictions(workspace / "predictions/few.parquet")
    assert found.image_ids == few["dicom_id"].tolist()
    assert np.allclose(found.logits, whole.logits[[whole.image_ids.index(name) for name in found.image_ids]], atol=1e-5)


def test_predictions_are_joined_by_id_and_class_columns_by_name(cxrlt: Run, dataset: Path) -> None:
    """The same scores with rows and columns turned round: the same figures, the same submission, the same pseudo-labels."""
    workspace, test = dataset.parent, read_dataset(dataset).split("test")
    draws = np.random.default_rng(0)
    logits = draws.normal(size=test.targets.shape).astype(np.float32) + np.arange(len(CLASSES))
    ids = list(test.table["image_id"])
    for name, rows, columns in (("as-is", slice(None), slice(None)), ("turned", slice(None, None, -1), slice(None, None, -1))):
        content = Predictions(ids[rows], CLASSES[columns], logits[rows][:, columns], PredictionsHeader([name], "test"))
        write_predictions(workspace / f"predictions/{name}.parquet", content)
        assert cxrlt("evaluate", name, "--bootstrap", "50").code == 0
        assert cxrlt("ensemble", name, "--name", f"{name}-again").code == 0
    figures = [pd.read_csv(workspace / f"evaluations/{name}/per_class.csv").set_index("class") for name in ("as-is", "turned")]
    pd.testing.assert_frame_equal(figures[0], figures[1])
    both = ["ensemble", "as-is", "turned", "--name", "both"]  # joined: the merge of two equal ones is itself
    assert cxrlt(*both).code == 0
    assert np.allclose(_logits(workspace, "both"), logits, atol=1e-5)


def test_the_sources_pictures_are_never_touched(cxrlt: Run, dataset: Path) -> None:
    """A loader that deletes its source image after reading it was published."""
    workspace = dataset.parent

    def prints() -> dict[str, str]:
        files = sorted((workspace / "source").rglob("*.*"))
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = prints()
    assert len(before) == 97
    assert cxrlt(*TRAIN, "--epochs", "1", "--name", "a").code == 0
    assert cxrlt("predict", "a", "--images", workspace / "source").code == 0
    assert prints() == before
