"""`cxrlt import`, run as a user runs it: another tool's scores become predictions that the other commands take."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Run
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.predictions import read_predictions
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.errors import UserError
from cxrlt_cli.predict.images import split_images

CLASSES = ["Mass", "Pleural_Thickening", "Hernia"]
IMPORT = ["import", "scores.csv", "--id-column", "Image Index", "--columns", "prob_{class}"]
LABELS = ["--labels", "labels.csv", "--label-column", "Finding Labels"]
PATTERN = ["--patient-pattern", "{patient}_{n}.png"]


def ids_of(count: int) -> list[str]:
    """Two images a patient."""
    return [f"{number // 2:04}_{number % 2:03}.png" for number in range(count)]


def write_labels(path: Path, count: int = 120, seed: int = 0) -> pd.DataFrame:
    """A table as NIH publishes it, with synonyms and `No Finding`; (N, C) bool labels are returned by image."""
    draws = np.random.default_rng(seed)
    present = pd.DataFrame(draws.random((count, 3)) < [0.4, 0.3, 0.2], index=ids_of(count), columns=CLASSES)
    names = [[name.replace("_", " ") for name, there in zip(CLASSES, row, strict=True) if there] for row in present.to_numpy()]
    findings = ["|".join(row) or "No Finding" for row in names]
    pd.DataFrame({"Image Index": present.index, "Finding Labels": findings}).to_csv(path, index=False)
    return present


def write_scores(path: Path, present: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    """Probabilities that lean towards the labels, many of them near 0, in another order than the labels."""
    draws = np.random.default_rng(seed)
    logits = 3 * draws.normal(size=present.shape) - 4 + 3 * present.to_numpy()
    scores = pd.DataFrame(1 / (1 + np.exp(-logits)), index=present.index, columns=CLASSES)
    shuffled = scores.sample(frac=1, random_state=seed)
    shuffled.add_prefix("prob_").rename_axis("Image Index").to_csv(path)
    return scores


@pytest.fixture
def tables(tmp_path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labels and scores of 120 images, written to labels.csv and scores.csv."""
    present = write_labels(tmp_path / "labels.csv")
    return present, write_scores(tmp_path / "scores.csv", present)


def test_metrics_equal_scikit_learn_to_the_last_digit(
    cxrlt: Run, tmp_path: Path, tables: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    present, scores = tables
    ended = cxrlt(*IMPORT, *LABELS, *PATTERN)
    assert ended.code == 0, ended.err
    assert "60 patients of 120 images" in ended.err
    assert cxrlt("evaluate", "--bootstrap", "20").code == 0
    found = pd.read_csv(tmp_path / "evaluations/scores/per_class.csv").set_index("class")
    for name in CLASSES:
        label = name.replace("_", " ")  # as the labels call it
        assert found.loc[label, "auroc"] == pytest.approx(roc_auc_score(present[name], scores[name]), abs=1e-14)
        assert found.loc[label, "ap"] == pytest.approx(average_precision_score(present[name], scores[name]), abs=1e-14)


def test_the_dataset_has_labels_and_no_pixels(cxrlt: Run, tmp_path: Path, tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    present, scores = tables
    assert cxrlt(*IMPORT, *LABELS, *PATTERN).code == 0
    dataset = read_dataset(tmp_path / "dataset.parquet")
    assert not dataset.has_pixels
    assert dataset.table["image_id"].tolist() == list(present.index)
    assert dataset.table["patient_id"].tolist() == [name.partition("_")[0] for name in present.index]
    assert set(dataset.table["split"]) == {"test"}
    assert dataset.label_mask.all()
    columns = [dataset.classes.index(name.replace("_", " ")) for name in CLASSES]
    assert np.array_equal(dataset.targets[:, columns], present.to_numpy())
    predictions = read_predictions(tmp_path / "predictions/scores.parquet")
    assert predictions.image_ids == list(present.index)
    assert predictions.header.split == "test"
    places = [predictions.classes.index(name.replace("_", " ")) for name in CLASSES]
    probabilities = 1 / (1 + np.exp(-predictions.logits[:, places].astype(float)))
    np.testing.assert_allclose(probabilities, scores.to_numpy(), rtol=1e-5)
    assert predictions.header.imported is not None
    assert predictions.header.imported.columns["Pleural Thickening"] == "prob_Pleural_Thickening"


def test_a_dataset_without_pixels_is_refused_where_images_are_needed(
    cxrlt: Run, tmp_path: Path, tables: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    assert cxrlt(*IMPORT, *LABELS, *PATTERN).code == 0
    ended = cxrlt("train", "--weights", "none")
    assert ended.code == 2
    assert "dataset.parquet has no pixels: it holds the labels of imported scores" in ended.err
    path = tmp_path / "dataset.parquet"
    with pytest.raises(UserError, match="has no pixels"):
        split_images(path, "test", [], False, torch.device("cpu"))
    with pytest.raises(UserError, match="has no pixels"):
        DatasetImages(read_dataset(path))


def test_evaluate_names_this_command_for_a_table_of_scores(cxrlt: Run, tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    ended = cxrlt("evaluate", "scores.csv")
    assert ended.code == 2
    assert "cxrlt import scores.csv --labels TABLE" in ended.err
