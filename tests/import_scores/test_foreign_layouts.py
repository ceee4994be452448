"""Files of other tools as they are written: npz, Parquet, one table with labels and scores, ids with folders."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from foreign_tables import CLASSES, IMPORT, LABELS, PATTERN, Tables, write_tables

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.predictions import Predictions, read_predictions
from cxrlt_cli.errors import UserError
from cxrlt_cli.import_scores.patients import patients_of_ids


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return write_tables(tmp_path)


def scores_of(folder: Path, name: str = "scores") -> Predictions:
    return read_predictions(folder / f"predictions/{name}.parquet")


def same_scores(found: Predictions, scores: pd.DataFrame) -> None:
    """That predictions hold the probabilities of a table, whatever their classes are called."""
    order = [next(c for c, name in enumerate(found.classes) if name.replace(" ", "_") == wanted) for wanted in CLASSES]
    probabilities = 1 / (1 + np.exp(-found.logits[:, order].astype(float)))
    np.testing.assert_allclose(probabilities, scores.loc[found.image_ids].to_numpy(), rtol=1e-5)


def test_npz_with_the_names_of_its_classes(cxrlt: Run, tmp_path: Path, tables: Tables) -> None:
    _, scores = tables
    np.savez(tmp_path / "net.npz", image_id=scores.index.to_numpy(str), classes=np.array(CLASSES), out=scores.to_numpy())
    ended = cxrlt("import", "net.npz", *LABELS, "--label-id-column", "Image Index", *PATTERN)
    assert ended.code == 2
    assert '--columns "out:{class}"' in ended.err
    ended = cxrlt("import", "net.npz", "--columns", "out:{class}", *LABELS, "--label-id-column", "Image Index", *PATTERN)
    assert ended.code == 0, ended.err
    same_scores(scores_of(tmp_path, "net"), scores)


def test_npz_that_holds_labels_and_patients_too_needs_no_ids(cxrlt: Run, tmp_path: Path, tables: Tables) -> None:
    present, scores = tables
    logits = np.log(scores / (1 - scores)).to_numpy().astype(np.float32)
    patients = np.arange(120) // 2
    np.savez(tmp_path / "net.npz", test_logits=logits, test_labels=present.to_numpy(np.float32), test_patient=patients)
    (tmp_path / "out.csv").write_text("column,class\n" + "".join(f"test_logits:{n},{c}\n" for n, c in enumerate(CLASSES)))
    (tmp_path / "true.csv").write_text("column,class\n" + "".join(f"test_labels:{n},{c}\n" for n, c in enumerate(CLASSES)))
    ended = cxrlt(
        "import", "net.npz", "--id-column", "#", "--columns", "out.csv", "--labels", "net.npz", "--label-columns", "true.csv",
        "--patient-column", "test_patient",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "120 images of 60 patients, 3 classes, logits" in ended.err
    found = scores_of(tmp_path, "net")
    assert np.array_equal(found.logits, logits)
    assert found.image_ids[:3] == ["0", "1", "2"]
    dataset = read_dataset(tmp_path / "dataset.parquet")
    assert dataset.classes == CLASSES
    assert np.array_equal(dataset.targets, present.to_numpy())


def test_one_parquet_with_scores_labels_and_patients(cxrlt: Run, tmp_path: Path, tables: Tables) -> None:
    present, scores = tables
    one = pd.concat([scores.add_suffix("_score"), present.astype(int).add_suffix("_true")], axis=1)
    one = one.assign(patient_id=[name[:4] for name in one.index], sex="F").rename_axis("image_id").reset_index()
    one.to_parquet(tmp_path / "one.parquet", index=False)
    columns = ["--columns", "{class}_score", "--label-columns", "{class}_true"]
    ended = cxrlt("import", "one.parquet", "--labels", "one.parquet", *columns)
    assert ended.code == 0, ended.err
    assert "patients by the column 'patient_id' of one.parquet" in ended.err
    same_scores(scores_of(tmp_path, "one"), scores)
    dataset = read_dataset(tmp_path / "dataset.parquet")
    assert np.array_equal(dataset.targets, present.to_numpy())
    assert set(dataset.table["sex"]) == {"F"}


def test_patients_from_a_column_of_the_scores(cxrlt: Run, tmp_path: Path, tables: Tables) -> None:
    scores = pd.read_csv(tmp_path / "scores.csv", dtype=str)
    scores.assign(who=scores["Image Index"].str[:3]).to_csv(tmp_path / "scores.csv", index=False)
    ended = cxrlt(*IMPORT, *LABELS, "--patient-column", "who")
    assert ended.code == 0, ended.err
    assert "120 images of 6 patients" in ended.err
    assert read_dataset(tmp_path / "dataset.parquet").table["patient_id"].tolist()[:2] == ["000", "000"]


def test_a_parquet_whose_index_is_the_id(cxrlt: Run, tmp_path: Path, tables: Tables) -> None:
    _, scores = tables
    scores.rename_axis("image_id").to_parquet(tmp_path / "frame.parquet")
    ended = cxrlt("import", "frame.parquet", *LABELS, "--label-id-column", "Image Index", *PATTERN)
    assert ended.code == 0, ended.err
    same_scores(scores_of(tmp_path, "frame"), scores)


def test_decisions_instead_of_scores_are_pointed_out(cxrlt: Run, tmp_path: Path, tables: Tables) -> None:
    (tables[1] > 0.5).astype(int).rename_axis("image_id").to_csv(tmp_path / "calls.csv")
    ended = cxrlt("import", "calls.csv", *LABELS, "--label-id-column", "Image Index", *PATTERN)
    assert ended.code == 0, ended.err
    assert "every score is 0 or 1, a decision:" in ended.err


def test_columns_named_in_a_file(cxrlt: Run, tmp_path: Path, tables: Tables) -> None:
    _, scores = tables
    table = pd.read_csv(tmp_path / "scores.csv", dtype=str)
    table.columns = ["Image Index", "c0", "c1", "c2"]
    table.to_csv(tmp_path / "scores.csv", index=False)
    (tmp_path / "map.csv").write_text("column,class\nc0,Lung Mass\nc1,pleural thickness\nc2,\n")
    ended = cxrlt(*IMPORT[:4], "--columns", "map.csv", *LABELS, *PATTERN)
    assert ended.code == 0, ended.err
    found = scores_of(tmp_path)
    assert sorted(found.classes) == ["Mass", "Pleural Thickening"]
    mass = 1 / (1 + np.exp(-found.logits[:, found.classes.index("Mass")].astype(float)))
    np.testing.assert_allclose(mass, scores["Mass"].loc[found.image_ids], rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "what"),
    [(lambda name: f"/data/nih/{name}", "folders"), (lambda name: f"x/{name[:-4]}", "folders and suffixes")],
)
def test_ids_with_folders_or_without_suffixes_are_matched_and_it_is_said(
    cxrlt: Run, tmp_path: Path, tables: Tables, change: object, what: str
) -> None:
    table = pd.read_csv(tmp_path / "scores.csv", dtype=str)
    table["Image Index"] = table["Image Index"].map(change)
    table.to_csv(tmp_path / "scores.csv", index=False)
    ended = cxrlt(*IMPORT, *LABELS, *PATTERN)
    assert ended.code == 0, ended.err
    assert f"ids are matched without their {what}: " in ended.err
    same_scores(scores_of(tmp_path), tables[1])


def test_a_gzipped_table_with_repeated_rows(cxrlt: Run, tmp_path: Path, tables: Tables) -> None:
    table = pd.read_csv(tmp_path / "scores.csv", dtype=str)
    pd.concat([table, table.head(3)]).to_csv(tmp_path / "scores.csv.gz", index=False)
    ended = cxrlt("import", "scores.csv.gz", *IMPORT[2:], *LABELS, *PATTERN)
    assert ended.code == 0, ended.err
    assert "3 rows repeat another row of their image" in ended.err
    same_scores(scores_of(tmp_path), tables[1])


@pytest.mark.parametrize(
    ("pattern", "name", "patient"),
    [("{patient}_{n}.png", "00000013_008.png", "00000013"), ("{patient}_{n}", "P1_S2_003", "P1"),
     ("{a}/{patient}/{b}.jpg", "train/p.10(2)/s1/view1.jpg", "p.10(2)"), ("p{patient}", "p7", "7")],
)  # fmt: skip
def test_the_patient_in_an_id(pattern: str, name: str, patient: str) -> None:
    assert patients_of_ids(pattern, pd.Series([name]), Path("t.csv")).tolist() == [patient]


def test_an_id_that_does_not_fit_is_named() -> None:
    with pytest.raises(UserError, match=r"1 of 2 image ids do not fit --patient-pattern '\{patient\}_\{n\}.png': b.png"):
        patients_of_ids("{patient}_{n}.png", pd.Series(["a_1.png", "b.png"]), Path("t.csv"))
