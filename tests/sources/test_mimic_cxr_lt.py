"""CXR-LT's label files over MIMIC-CXR-JPG's folders."""

import gzip
from pathlib import Path

import pytest
from conftest import Run
from PIL import Image

from cxrlt_cli.artifacts.source_table import BLANK
from cxrlt_cli.errors import UserError
from cxrlt_cli.sources.mimic_cxr_lt import read_mimic_cxr_lt

A, B, C = "02aa804e-bde0afdd", "174413ec-4ec4c1f7", "2a2277a9-b0ded155"
PATHS = [f"p10/p10000032/s50414267/{A}.jpg", f"p10/p10000032/s53189527/{B}.jpg", f"p19/p19999987/s58621812/{C}.jpg"]
VIEWS = ["PA,postero-anterior", "LATERAL,lateral", ","]


def _row(number: int, labels: str, before: str = "files/", split: str = "") -> str:
    _, patient, study, name = PATHS[number].split("/")
    ids = f"{name.removesuffix('.jpg')},{patient[1:]},{study[1:]}"
    return f"{ids},{VIEWS[number]},{before}{PATHS[number]},{labels}{split}\n"


def _header(file: str, labels: str) -> str:
    return f"dicom_id,subject_id,study_id,ViewPosition,ViewCodeSequence_CodeMeaning,{file},{labels}\n"


def _images(folder: Path) -> Path:
    for path in PATHS:
        (folder / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 100).save(folder / "files" / path)
    return folder


@pytest.fixture
def of_2023(tmp_path: Path) -> tuple[Path, Path]:
    """The folder of the images and that of the labels."""
    labels = tmp_path / "cxr-lt-2023"
    labels.mkdir()
    (labels / "train.csv").write_text(_header("path", "Hernia,Mass") + _row(0, "0,1"))
    (labels / "development.csv").write_text(_header("path", "Hernia,Mass") + _row(1, "1,0"))
    (labels / "test.csv").write_text(_header("path", "Mass,Hernia") + _row(2, "0,1"))
    return _images(tmp_path / "mimic-cxr-jpg"), labels


def test_2023_is_three_files_joined_by_name(of_2023: tuple[Path, Path]) -> None:
    folder, labels = of_2023
    listing = read_mimic_cxr_lt(folder, labels)
    source = listing.source
    assert (source.kind, source.classes) == ("mimic-cxr-lt", ["Hernia", "Mass"])
    assert source.labels.tolist() == [[0, 1], [1, 0], [1, 0]], "test.csv has its columns in another order"
    assert source.table["image_id"].tolist() == [A, B, C]
    assert source.table["patient_id"].tolist() == ["10000032", "10000032", "19999987"]
    assert source.table["study_id"].tolist() == ["50414267", "53189527", "58621812"]
    assert source.table["official_split"].tolist() == ["train", "val", "test"]
    assert source.table["view"].fillna("").tolist() == ["PA", "LATERAL", ""]
    assert source.table[["sex", "age"]].isna().all(axis=None)
    assert all((folder / file).is_file() for file in source.table["file"])
    assert [path.name for path in listing.tables] == ["train.csv", "development.csv", "test.csv"]


def test_one_file_is_read_alone_and_its_name_is_the_split(
    of_2023: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    listing = read_mimic_cxr_lt(of_2023[0], of_2023[1] / "development.csv")
    assert listing.source.table["official_split"].tolist() == ["val"]
    assert capsys.readouterr().err == ""
    other = of_2023[1] / "mine.csv"
    (of_2023[1] / "development.csv").rename(other)
    assert read_mimic_cxr_lt(of_2023[0], other).source.table["official_split"].isna().all()
    assert "mine.csv: 1 of 1 images have no official split" in capsys.readouterr().err


def test_2024_is_labels_csv_whatever_stands_beside_it(tmp_path: Path) -> None:
    folder = _images(tmp_path)
    header = _header("fpath", "Normal,Round(ed) Atelectasis,split")
    rows = [_row(0, "1.0,0.0", split=",train"), _row(1, "-1,", split=",development"), _row(2, "0,1", split=",test")]
    with gzip.open(folder / "labels.csv.gz", "wt") as file:
        file.write(header + "".join(rows))
    (folder / "train_labeled.csv").write_text(_header("fpath", "Normal") + _row(0, "0"))
    listing = read_mimic_cxr_lt(folder, None)
    assert listing.source.classes == ["Normal", "Round(ed) Atelectasis"]
    assert listing.source.labels.tolist() == [[1, 0], [-1, BLANK], [0, 1]]
    assert listing.source.table["official_split"].tolist() == ["train", "val", "test"]
    assert [path.name for path in listing.tables] == ["labels.csv.gz"]


@pytest.mark.parametrize("before", ["files/", "", "../mimic-cxr-jpg/2.0.0/files/"])
def test_the_path_may_begin_anywhere(before: str, of_2023: tuple[Path, Path]) -> None:
    train = of_2023[1] / "train.csv"
    train.write_text(_header("path", "Mass") + _row(0, "1", before))
    assert read_mimic_cxr_lt(of_2023[0], train).source.table["file"].tolist() == [f"files/{PATHS[0]}"]


def test_without_a_path_and_with_letters_before_the_ids(of_2023: tuple[Path, Path]) -> None:
    train = of_2023[1] / "train.csv"
    train.write_text(f"dicom_id,subject_id,study_id,Mass\n{A},p10000032,s50414267,1\n")
    table = read_mimic_cxr_lt(of_2023[0], train).source.table
    assert table["file"].tolist() == [f"files/{PATHS[0]}"]
    assert table[["patient_id", "study_id"]].to_numpy().tolist() == [["10000032", "50414267"]]


def test_a_missing_image_is_expected_all_the_same(of_2023: tuple[Path, Path]) -> None:
    (of_2023[0] / "files" / PATHS[2]).unlink()
    assert read_mimic_cxr_lt(*of_2023).source.table["file"].tolist() == [f"files/{path}" for path in PATHS]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (_header("path", "Mass") + _row(0, "2"), "column 'Mass', row 1: '2' is not a label"),
        (_header("path", "Mass,Rows") + _row(0, "1,2048"), "column 'Rows', row 1: '2048' is not a label"),
        (_header("path", "Mass") + _row(0, "1") * 2, f"more than once: {A}"),
        (_header("path", "Mass") + _row(0, "1").replace("/p10000032/", "/p10000099/"), "row 1: .* as its ids say"),
        (_header("path", "Mass") + _row(0, "1").replace(",10000032,", ",,"), "'subject_id' is empty in 1 rows"),
        (_header("path", "Mass,split") + _row(0, "1,fold7"), "fold7 is not a split"),
        (_header("path", "")[:-2] + "\n" + _row(0, "")[:-2] + "\n", "has no label columns"),
        ("id,Mass\n1,1\n", "no column dicom_id, subject_id, study_id"),
        (_header("path", "Mass,Hernia") + _row(0, "1,0"), "only one of .*train.csv and .*development.csv has Hernia"),
        (_header("path", "Mass") + _row(1, "1"), rf"train.csv \+ .*development.csv lists 1 images more than once: {B}"),
    ],
)
def test_bad_label_files(content: str, says: str, of_2023: tuple[Path, Path]) -> None:
    folder, labels = of_2023
    (labels / "train.csv").write_text(content)
    (labels / "development.csv").write_text(_header("path", "Mass") + _row(1, "1"))
    (labels / "test.csv").unlink()
    with pytest.raises(UserError, match=says) as caught:
        read_mimic_cxr_lt(folder, labels)
    assert caught.value.hint


def test_what_is_not_there_is_named(of_2023: tuple[Path, Path], tmp_path: Path) -> None:
    folder, labels = of_2023
    with pytest.raises(UserError, match="has no label table") as caught:
        read_mimic_cxr_lt(folder, None)
    assert "--labels" in caught.value.hint
    with pytest.raises(UserError, match="is not a folder"):
        read_mimic_cxr_lt(tmp_path / "none", labels)
    with pytest.raises(UserError, match=r"none\.csv is not there"):
        read_mimic_cxr_lt(folder, labels / "none.csv")
    (labels / "train.csv.gz").write_bytes(b"")
    with pytest.raises(UserError, match=r"has both train\.csv and train\.csv\.gz"):
        read_mimic_cxr_lt(folder, labels)


def test_the_command_caches_it(of_2023: tuple[Path, Path], cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt("cache", "--source", f"mimic-cxr-lt={of_2023[0]}", "--labels", of_2023[1], "--size", 32, "--workers", 1)
    assert ended.code == 0, ended.err
    assert (tmp_path / "images/mimic-cxr-lt.h5").is_file()
