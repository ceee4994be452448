"""Any table with named columns."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from cxrlt_cli.artifacts.source_table import BLANK
from cxrlt_cli.errors import UserError
from cxrlt_cli.sources.table import TableColumns, read_table_source

COLUMNS = TableColumns("image_id", "", "patient_id", "", "", "", "", "", "", ("Mass", "Edema"))
ROWS = {
    "image_id": ["007", "b", "c"],
    "path": ["x/1.png", "x/2.png", "x/none.png"],
    "patient_id": ["01", "1", "p"],
    "Mass": ["1", "0", "-1"],
    "Edema": ["1.0", "", "0.0"],
    "age": ["61", "", "x"],
    "fold": ["train", "validation", "TEST"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "x").mkdir()
    for name in ("1", "2"):
        Image.new("L", (8, 8)).save(tmp_path / f"x/{name}.png")
    return tmp_path


def _csv(folder: Path, **changed: list[str]) -> Path:
    pd.DataFrame({**ROWS, **changed}).to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv"


def test_values_are_read_as_text_and_labels_kept_apart(folder: Path) -> None:
    source = read_table_source(_csv(folder), None, COLUMNS).source
    assert source.table["image_id"].tolist() == ["007", "b", "c"], "leading zeros stay"
    assert source.table["patient_id"].tolist() == ["01", "1", "p"]
    assert source.labels.tolist() == [[1, 1], [0, BLANK], [-1, 0]]
    assert source.table["file"].tolist() == ["x/1.png", "x/2.png", "x/none.png"], "where it is expected"
    assert source.table["age"].fillna(-1).tolist() == [61, -1, -1]


def test_a_blank_path_is_no_file(folder: Path) -> None:
    source = read_table_source(_csv(folder, path=["x/1.png", "", "x/2.png"]), None, COLUMNS).source
    assert source.table["file"].isna().tolist() == [False, True, False]


def test_the_files_of_the_challenges_column(folder: Path) -> None:
    path = _csv(folder)
    path.write_text(path.read_text().replace(",path,", ",fpath,"))
    assert read_table_source(path, None, COLUMNS).source.table["file"].tolist() == ["x/1.png", "x/2.png", "x/none.png"]


def test_parquet_is_read_alike(folder: Path) -> None:
    table = pd.DataFrame({**ROWS, "Mass": [1, 0, -1], "Edema": [1.0, None, 0.0]})
    table.to_parquet(folder / "labels.parquet")
    source = read_table_source(folder / "labels.parquet", None, COLUMNS).source
    assert source.labels.tolist() == [[1, 1], [0, BLANK], [-1, 0]]


def test_columns_are_named_by_options(folder: Path) -> None:
    table = pd.DataFrame(ROWS).rename(columns={"image_id": "dicom", "patient_id": "subject", "path": "file name"})
    table.to_csv(folder / "labels.csv", index=False)
    columns = replace(COLUMNS, image="dicom", patient="subject", path="file name", split="fold")
    source = read_table_source(folder / "labels.csv", None, columns).source
    assert source.table["official_split"].tolist() == ["train", "val", "test"]
    assert source.table["patient_id"].tolist() == ["01", "1", "p"]


def test_paths_count_from_another_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    listing = read_table_source(_csv(tmp_path / "tables"), folder, COLUMNS)
    assert [(listing.root / file).is_file() for file in listing.source.table["file"]] == [True, True, False]
    assert listing.root == folder


@pytest.mark.parametrize(
    ("changed", "columns", "says"),
    [
        ({"Mass": ["1", "0", "2"]}, COLUMNS, "column 'Mass', row 3: '2' is not a label"),
        ({"Mass": ["1", "yes", "0"]}, COLUMNS, "row 2: 'yes' is not a label"),
        ({"image_id": ["a", "a", "b"]}, COLUMNS, "more than once: a"),
        ({"image_id": ["a", "", "b"]}, COLUMNS, "'image_id' is empty in 1 rows"),
        ({"patient_id": ["a", "b", ""]}, COLUMNS, "'patient_id' is empty"),
        ({}, replace(COLUMNS, labels=("Mass", "Oedema")), "no column Oedema"),
        ({}, replace(COLUMNS, patient="PatientID"), "no column PatientID"),
        ({}, replace(COLUMNS, labels=()), "which columns are labels"),
        ({"fold": ["a", "test", "train"]}, replace(COLUMNS, split="fold"), "a is not a split"),
    ],
)
def test_bad_input(changed: dict[str, list[str]], columns: TableColumns, says: str, folder: Path) -> None:
    with pytest.raises(UserError, match=says):
        read_table_source(_csv(folder, **changed), None, columns)


def test_missing_label_columns_are_suggested(folder: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_table_source(_csv(folder), None, replace(COLUMNS, labels=()))
    assert '--label-columns "Mass,Edema"' in caught.value.hint


def test_words_as_values(folder: Path) -> None:
    """As in the expert labels of ChestX-ray14: YES, NO and HEDGE."""
    path = _csv(folder, Mass=["YES", " no", "Hedge"], Edema=["1", "unsure", "NO"])
    columns = replace(COLUMNS, values={"yes": "1", "no": "0", "hedge": "-1", "unsure": ""})
    assert read_table_source(path, None, columns).source.labels.tolist() == [[1, 1], [0, BLANK], [-1, 0]]
    with pytest.raises(UserError, match="column 'Mass', row 1: 'YES' is not a label") as caught:
        read_table_source(path, None, COLUMNS)
    assert "--values maps words to labels, as in YES=…,no=…,Hedge=…" in caught.value.hint


def test_rows_that_repeat_an_image_are_one_where_they_say_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in the RSNA challenge's table, which has a row for each box."""
    rows = {name: [values[0], values[1], values[1], values[2]] for name, values in ROWS.items()}
    pd.DataFrame({**rows, "x": ["", "264", "562", ""]}).to_csv(folder / "labels.csv", index=False)
    source = read_table_source(folder / "labels.csv", None, COLUMNS).source
    assert source.table["image_id"].tolist() == ["007", "b", "c"]
    assert source.labels.tolist() == [[1, 1], [0, BLANK], [-1, 0]]
    assert "1 rows repeat another row of their image" in capsys.readouterr().err
    for name, value in (("Mass", "1"), ("patient_id", "other"), ("path", "x/1.png")):
        pd.DataFrame({**rows, name: [*rows[name][:2], value, rows[name][3]]}).to_csv(folder / "labels.csv", index=False)
        with pytest.raises(UserError, match="lists 1 images more than once: b"):
            read_table_source(folder / "labels.csv", None, COLUMNS)


def test_a_column_of_label_texts(folder: Path) -> None:
    path = _csv(folder, Labels=["Mass;Edema", "No Finding", "Mass"])
    source = read_table_source(path, None, replace(COLUMNS, labels=(), texts="Labels", separator=";")).source
    assert source.classes == ["Edema", "Mass", "No Finding"]
    assert source.labels.tolist() == [[1, 1, 0], [0, 0, 1], [0, 1, 0]]
    with pytest.raises(UserError, match="no column Findings"):
        read_table_source(path, None, replace(COLUMNS, labels=(), texts="Findings"))


def test_a_column_of_label_texts_is_suggested(folder: Path) -> None:
    path = _csv(folder, Mass=["Mass|Edema", "Mass", ""], Edema=["x", "y", "z"])
    with pytest.raises(UserError, match="which columns are labels") as caught:
        read_table_source(path, None, replace(COLUMNS, labels=()))
    assert caught.value.hint == 'name them: --label-column "Mass"'
    path = _csv(folder, Mass=["YES", "NO", ""], Edema=["True", "yes", "NO"])
    with pytest.raises(UserError) as caught:
        read_table_source(path, None, replace(COLUMNS, labels=()))
    assert caught.value.hint == 'name them: --label-columns "Mass,Edema" --values NO=0,YES=1,True=1,yes=1'


def test_a_thousand_columns_do_not_fill_the_screen(folder: Path) -> None:
    names = [f"Finding {number}" for number in range(1200)]
    path = _csv(folder, **{name: ["1", "0", ""] for name in names})
    for columns in (replace(COLUMNS, labels=()), replace(COLUMNS, labels=("Oedema",))):
        with pytest.raises(UserError) as caught:
            read_table_source(path, None, columns)
        assert len(caught.value.hint) < 1000


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("image_id,path,patient_id,Mass,Mass\na,x/1.png,p,1,0\n", "two columns Mass"),
        ("image_id,path,patient_id,Mass\na,x/1.png,p,1,0,1\nb,x/2.png,p,1,0,1\n", "row 2: 6 cells where the header has 4"),
        ("image_id,path,patient_id,Mass\na,x/1.png,p,1\nb,x/2.png,p,1,0,1\n", "row 3: 6 cells where the header has 4"),
        ("image_id,path,patient_id,Mass\na,x/1.png,p,1\nb,x/2.png,p\n", "row 3: 3 cells where the header has 4"),
        ("image_id;path;patient_id;Mass\na;x/1.png;p;1\n", "no column image_id"),
    ],
)
def test_a_csv_is_never_guessed_at(row: str, says: str, folder: Path) -> None:
    (folder / "labels.csv").write_text(row)
    with pytest.raises(UserError, match=says):
        read_table_source(folder / "labels.csv", None, replace(COLUMNS, labels=("Mass",)))


def test_a_label_named_twice(folder: Path) -> None:
    with pytest.raises(UserError, match="names a column twice"):
        read_table_source(_csv(folder), None, replace(COLUMNS, labels=("Mass", "Mass")))


@pytest.mark.parametrize("content", [b"", b"image_id,path\n", b"\xff\xfe\x00binary\x00,\n1,2\n"])
def test_files_that_are_no_table(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"labels\.csv"):
        read_table_source(tmp_path / "labels.csv", None, COLUMNS)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_named_as_such(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("image_id,patient_id,Mass,Edema\nMüller,p,1,0\n", encoding=encoding)
    with pytest.raises(UserError, match="is not text in UTF-8"):
        read_table_source(path, None, COLUMNS)
