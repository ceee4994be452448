"""`cxrlt import`, run as a user runs it: another tool's scores become predictions that the other commands take."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Run
from foreign_tables import CLASSES, IMPORT, LABELS, PATTERN, Tables, ids_of, write_scores, write_tables
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.predictions import read_predictions
from cxrlt_cli.config.import_scores import ImportConfig
from cxrlt_cli.console import quiet
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.errors import UserError
from cxrlt_cli.import_scores.import_scores import import_scores
from cxrlt_cli.predict.images import split_images
from cxrlt_cli.workspace import Workspace


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return write_tables(tmp_path)


def test_metrics_equal_scikit_learn_to_the_last_digit(cxrlt: Run, tmp_path: Path, tables: Tables) -> None:
    present, scores = tables
    ended = cxrlt(*IMPORT, *LABELS, *PATTERN)
    assert ended.code == 0, ended.err
    assert "120 images of 60 patients, 3 classes, probabilities" in ended.err
    assert cxrlt("evaluate", "--bootstrap", "20").code == 0
    found = pd.read_csv(tmp_path / "evaluations/scores/per_class.csv").set_index("class")
    for name in CLASSES:
        label = name.replace("_", " ")  # as the labels call it
        assert found.loc[label, "auroc"] == pytest.approx(roc_auc_score(present[name], scores[name]), abs=1e-14)
        assert found.loc[label, "ap"] == pytest.approx(average_precision_score(present[name], scores[name]), abs=1e-14)


def test_the_dataset_has_labels_and_no_pixels(cxrlt: Run, tmp_path: Path, tables: Tables) -> None:
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
    assert "none: labels alone" in cxrlt("info", "dataset.parquet").out
    assert "scores.csv (probabilities)" in cxrlt("info", "predictions/scores.parquet").out


def test_a_dataset_without_pixels_is_refused_where_images_are_needed(cxrlt: Run, tmp_path: Path, tables: Tables) -> None:
    assert cxrlt(*IMPORT, *LABELS, *PATTERN).code == 0
    ended = cxrlt("train", "--weights", "none")
    assert ended.code == 2
    assert "dataset.parquet has no pixels: it holds the labels of imported scores" in ended.err
    path = tmp_path / "dataset.parquet"
    with pytest.raises(UserError, match="has no pixels"):
        split_images(path, "test", [], False, torch.device("cpu"))
    with pytest.raises(UserError, match="has no pixels"):
        DatasetImages(read_dataset(path))


@pytest.mark.usefixtures("without_figures")
def test_compare_ensemble_and_report_take_imported_scores(cxrlt: Run, tmp_path: Path, tables: Tables) -> None:
    present, scores = tables
    other = write_scores(tmp_path / "other.csv", present, seed=2)
    assert cxrlt(*IMPORT, *LABELS, *PATTERN).code == 0
    ended = cxrlt("import", "other.csv", *IMPORT[2:])  # its labels are those of dataset.parquet
    assert ended.code == 0, ended.err
    compared = cxrlt("compare", "scores", "other", "--bootstrap", "20", "--permutations", "20", "--name", "both")
    assert compared.code == 0, compared.err
    assert cxrlt("ensemble", "scores", "other", "--select", "all", "--merge", "mean", "--name", "merged").code == 0
    merged = read_predictions(tmp_path / "predictions/merged.parquet")
    column = merged.classes.index("Mass")
    mean = (scores["Mass"] + other["Mass"]) / 2
    np.testing.assert_allclose(1 / (1 + np.exp(-merged.logits[:, column].astype(float))), mean, rtol=1e-5)
    ended = cxrlt("report", "scores", "other", "--resamples", "100")
    assert ended.code == 0, ended.err
    assert "mistakes" not in ended.err
    assert "of 60 patients" in (tmp_path / "reports/scores+other/report.html").read_text()


def test_what_is_chosen_on_validation_serves_the_test_split(cxrlt: Run, tmp_path: Path, tables: Tables) -> None:
    """Calibration, thresholds and the weights of an ensemble. The last patient of val is in test too, which is said."""
    present, _ = tables
    labels = pd.read_csv(tmp_path / "labels.csv").assign(split=["val"] * 61 + ["test"] * 59)
    labels.to_csv(tmp_path / "labels.csv", index=False)
    for name, rows in (("val", present[:61]), ("other", present[:61]), ("test", present[61:])):
        write_scores(tmp_path / f"{name}.csv", rows, seed=len(name))
    ended = cxrlt("import", "val.csv", *IMPORT[2:], *LABELS, *PATTERN, "--split", "val")
    assert ended.code == 0, ended.err
    assert "1 patients are in more than one split: 0030" in ended.err
    assert cxrlt("import", "other.csv", *IMPORT[2:], "--split", "val").code == 0
    assert cxrlt("import", "test.csv", *IMPORT[2:]).code == 0
    assert "cxrlt evaluate --calibrate platt" in cxrlt("calibrate", "val", "--name", "platt").err
    ended = cxrlt("evaluate", "test", "--calibrate", "platt", "--thresholds-from", "val", "--bootstrap", "0")
    assert ended.code == 0, ended.err
    assert json.loads((tmp_path / "evaluations/test/metrics.json").read_text())["thresholds"]["held_out"]
    assert cxrlt("ensemble", "val", "other", "--select", "greedy", "--name", "best").code == 0
    assert json.loads((tmp_path / "ensembles/best.json").read_text())["select"] == "greedy"


def test_what_has_no_label_or_no_score_is_counted_and_named(cxrlt: Run, tmp_path: Path, tables: Tables) -> None:
    labels, scores = (pd.read_csv(tmp_path / f"{name}.csv", dtype=str) for name in ("labels", "scores"))
    labels["Finding Labels"] = labels["Finding Labels"].mask(labels["Image Index"] == "0003_000.png")
    labels[labels["Image Index"] != "0001_000.png"].to_csv(tmp_path / "labels.csv", index=False)
    scores["prob_Mass"] = scores["prob_Mass"].mask(scores["Image Index"] == "0002_001.png", "NaN")
    scores[scores["Image Index"] != "0005_000.png"].to_csv(tmp_path / "scores.csv", index=False)
    ended = cxrlt(*IMPORT, *LABELS, *PATTERN)
    assert ended.code == 0, ended.err
    assert "1 images lack a score of some class: left out (0002_001.png)" in ended.err
    assert "1 images have no label: left out (0003_000.png)" in ended.err
    assert "2 images of scores.csv have no label: left out (" in ended.err
    assert "2 images of labels.csv have no score: left out (0002_001.png, 0005_000.png)" in ended.err
    assert "classes of the labels without scores: No Finding" in ended.err
    assert len(read_predictions(tmp_path / "predictions/scores.parquet").image_ids) == 116
    assert cxrlt("evaluate", "--bootstrap", "0").code == 0


def test_without_patients_every_command_says_so(cxrlt: Run, tmp_path: Path, tables: Tables) -> None:
    ended = cxrlt(*IMPORT, *LABELS)
    assert ended.code == 0
    assert "warning: patients are not known: every image counts as a patient of its own" in ended.err
    out = cxrlt("evaluate", "--bootstrap", "20").out
    assert "120 images; their patients are not known" in out
    assert "from 20 resamples of the images" in out
    assert json.loads((tmp_path / "evaluations/scores/metrics.json").read_text())["bootstrap"]["of"] == "images"


def test_subgroups_and_studies_of_a_label_table(cxrlt: Run, tmp_path: Path, tables: Tables) -> None:
    labels = pd.read_csv(tmp_path / "labels.csv")
    labels.assign(study_id=labels["Image Index"].str[:4], Gender=["F", "M"] * 60).to_csv(tmp_path / "labels.csv", index=False)
    assert cxrlt(*IMPORT, *LABELS, *PATTERN, "--sex-column", "Gender").code == 0
    ended = cxrlt("evaluate", "--per", "study", "--bootstrap", "0")
    assert ended.code == 0, ended.err
    assert "60 studies, 120 images of 60 patients" in ended.out
    ended = cxrlt("evaluate", "--by", "sex", "--bootstrap", "0", "--name", "by-sex")
    assert ended.code == 0, ended.err
    assert set(pd.read_csv(tmp_path / "evaluations/by-sex/subgroups.csv")["value"]) == {"F", "M"}


def test_scores_of_a_part_of_a_dataset_need_an_output(cxrlt: Run, tmp_path: Path, dataset: Path) -> None:
    whole = read_dataset(dataset)
    part = whole.split("test")
    ids = part.table["image_id"][:10]
    draws = np.random.default_rng(0)
    table = pd.DataFrame(draws.random((10, 2)), columns=whole.classes[:2]).assign(image_id=ids)
    table.to_parquet(tmp_path / "half.parquet", index=False)
    ended = cxrlt("import", "half.parquet", "--kind", "probabilities")
    assert ended.code == 2
    assert f"no scores for {len(part.table) - 10} images of the test split" in ended.err
    assert f"no scores for the classes {whole.classes[2]}" in ended.err
    assert not (tmp_path / "predictions").exists()
    ended = cxrlt("import", "half.parquet", "--kind", "probabilities", "--output", "sub/scored.parquet")
    assert ended.code == 0, ended.err
    assert cxrlt("evaluate", "half", "--dataset", "sub/scored.parquet", "--bootstrap", "0").code == 0
    smaller = read_dataset(tmp_path / "sub/scored.parquet")
    assert len(DatasetImages(smaller)) == len(smaller.table) == len(whole.table) - len(part.table) + 10
    assert smaller.classes == whole.classes[:2]


def test_nothing_is_replaced_unasked_and_pixels_never(cxrlt: Run, tmp_path: Path, dataset: Path) -> None:
    write_tables(tmp_path)
    before = dataset.read_bytes()
    for extra, text in (([], "dataset.parquet exists"), (["--overwrite"], "has pixels: not replaced")):
        ended = cxrlt(*IMPORT, *LABELS, *PATTERN, *extra)
        assert ended.code == 2
        assert text in ended.err
    assert dataset.read_bytes() == before
    assert cxrlt(*IMPORT, *LABELS, *PATTERN, "--output", "labels.parquet").code == 0
    ended = cxrlt(*IMPORT, *LABELS, *PATTERN, "--output", "labels.parquet")
    assert ended.code == 2
    assert "predictions/scores.parquet exists" in ended.err
    assert cxrlt(*IMPORT, *LABELS, *PATTERN, "--output", "labels.parquet", "--overwrite").code == 0


def test_evaluate_compare_and_ensemble_name_this_command_for_a_table_of_scores(cxrlt: Run, tables: Tables) -> None:
    for words in ("evaluate scores.csv", "compare scores.csv labels.csv", "ensemble scores.csv labels.csv"):
        ended = cxrlt(*words.split())
        assert ended.code == 2
        assert "cxrlt import scores.csv --labels TABLE" in ended.err, words


def test_the_function_returns_what_it_made(tmp_path: Path, tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = ImportConfig(
        scores="scores.csv", id_column="Image Index", columns="prob_{class}", labels=Path("labels.csv"),
        label_column="Finding Labels", patient_pattern="{patient}_{n}.png",
    )  # fmt: skip
    with quiet():
        made = import_scores(options, Workspace(tmp_path))
    assert made.path == tmp_path / "predictions/scores.parquet"
    assert made.dataset == tmp_path / "dataset.parquet"
    assert (made.images, made.kind) == (len(ids_of(120)), "probabilities")
    assert made.left_out == {"labels": 0, "scores": 0, "split": 0, "blank_scores": 0}
