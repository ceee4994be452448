"""NIH's layout, as published."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrlt_cli.artifacts.source_table import SourceTable
from cxrlt_cli.errors import UserError
from cxrlt_cli.sources.chestxray14 import CLASSES, read_chestxray14

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]\n"
)
ROWS = [
    "00000001_000.png,Cardiomegaly|Hernia,0,1,58,M,PA,2682,2749,0.143,0.143\n",
    "00000001_001.png,No Finding,1,1,414,M,AP,2682,2749,0.143,0.143\n",
    "00000002_000.png,Pleural_Thickening,0,2,81,F,PA,2500,2048,0.171,0.171\n",
]


def _layout(folder: Path, rows: list[str] = ROWS, images: tuple[str, ...] = ("images",)) -> Path:
    for number, row in enumerate(ROWS):
        holder = folder / images[number % len(images)]
        holder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 10 * number).save(holder / row.split(",")[0])
    (folder / "Data_Entry_2017.csv").write_text(HEADER + "".join(rows))
    return folder


@pytest.mark.parametrize("images", [("images",), ("images_001/images", "images_012/images")])
def test_as_published(images: tuple[str, ...], tmp_path: Path) -> None:
    listing = read_chestxray14(_layout(tmp_path, images=images), None)
    table, labels = listing.source.table, listing.source.labels
    assert table["image_id"].tolist() == ["00000001_000.png", "00000001_001.png", "00000002_000.png"]
    assert table["patient_id"].tolist() == ["1", "1", "2"]
    assert table["view"].tolist() == ["PA", "AP", "PA"]
    assert table["age"].tolist()[0] == 58
    assert np.isnan(table["age"][1]), "an age of 414 is none"
    assert all((tmp_path / file).is_file() for file in table["file"])
    named = [[CLASSES[c] for c in np.flatnonzero(row)] for row in labels]
    assert named == [["Cardiomegaly", "Hernia"], ["No Finding"], ["Pleural_Thickening"]]
    assert table["official_split"].isna().all()


def test_images_without_an_official_split_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _layout(tmp_path)
    read_chestxray14(tmp_path, None)
    said = [line for line in capsys.readouterr().err.splitlines() if "official split" in line]
    assert len(said) == 1
    assert "train_val_list.txt, test_list.txt not in" in said[0]
    assert "3 of 3 images have no official split (00000001_000.png and 2 more)" in said[0]
    (tmp_path / "test_list.txt").write_text("00000002_000.png\n")
    read_chestxray14(tmp_path, None)
    said = [line for line in capsys.readouterr().err.splitlines() if "official split" in line]
    assert len(said) == 1
    assert "train_val_list.txt not in" in said[0]
    assert "2 of 3 images" in said[0]
    (tmp_path / "train_val_list.txt").write_text("00000001_000.png\n99999999_000.png\n")
    read_chestxray14(tmp_path, None)
    assert "warning: 1 of 3 images have no official split (00000001_001.png)" in capsys.readouterr().err
    (tmp_path / "train_val_list.txt").write_bytes(b"\xff\xfe0")
    with pytest.raises(UserError, match=r"train_val_list\.txt cannot be read as text"):
        read_chestxray14(tmp_path, None)


def test_official_lists_and_a_zipped_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _layout(tmp_path)
    plain = tmp_path / "Data_Entry_2017.csv"
    with gzip.open(tmp_path / "Data_Entry_2017_v2020.csv.gz", "wt") as file:
        file.write(plain.read_text())
    plain.unlink()
    (tmp_path / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n")
    (tmp_path / "test_list.txt").write_text("00000002_000.png")
    listing = read_chestxray14(tmp_path, None)
    assert listing.source.table["official_split"].tolist() == ["train_val", "train_val", "test"]
    assert "official split" not in capsys.readouterr().err
    assert len(listing.tables) == 3


def test_a_label_table_elsewhere_and_images_that_are_not_there(tmp_path: Path) -> None:
    folder = _layout(tmp_path / "images_here")
    table = tmp_path / "labels.csv"
    (folder / "Data_Entry_2017.csv").rename(table)
    (folder / "images/00000002_000.png").unlink()
    (folder / "images/99999999_000.png").write_bytes(b"")
    listing = read_chestxray14(folder, table)
    assert listing.source.table["file"].isna().tolist() == [False, False, True]
    assert listing.unlisted == 1
    renamed = table.rename(tmp_path / "Data_Entry_2017.csv")
    assert read_chestxray14(folder, tmp_path).tables == [renamed], "its folder will do"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([*ROWS, ROWS[0]], "more than once: 00000001_000.png"),
        (["00000001_000.png,Cardiomegalie,0,1,58,M,PA,1,1,1,1\n"], "Cardiomegalie is not a finding"),
        (["00000001_000.png,,0,1,58,M,PA,1,1,1,1\n"], "`Finding Labels` is empty"),
        (["00000001_000.png,Mass,0,,58,M,PA,1,1,1,1\n"], "'Patient ID' is empty in 1 rows"),
        ([], "has no rows"),
    ],
)
def test_bad_tables(rows: list[str], says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        read_chestxray14(_layout(tmp_path, rows), None)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        read_chestxray14(tmp_path / "none", None)
    with pytest.raises(UserError, match="no PNG in images/"):
        read_chestxray14(tmp_path, None)
    folder = _layout(tmp_path / "a")
    (folder / "Data_Entry_2017.csv").rename(folder / "Data_Entry_2017_v2020.csv")
    _layout(tmp_path / "a")
    with pytest.raises(UserError, match=r"has Data_Entry_2017\.csv, Data_Entry_2017_v2020\.csv") as caught:
        read_chestxray14(folder, None)
    assert "--labels" in caught.value.hint
    (folder / "Data_Entry_2017.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="no column Image Index, Finding Labels, Patient ID"):
        read_chestxray14(folder, folder / "Data_Entry_2017.csv")


def test_a_file_in_both_official_lists_is_refused(tmp_path: Path) -> None:
    _layout(tmp_path)
    for name in ("train_val_list.txt", "test_list.txt"):
        (tmp_path / name).write_text("00000001_000.png\n")
    with pytest.raises(UserError, match="both official lists"):
        read_chestxray14(tmp_path, None)


def test_a_truncated_gz_is_refused(tmp_path: Path) -> None:
    _layout(tmp_path)
    content = gzip.compress((HEADER + "".join(ROWS) * 50).encode())
    (tmp_path / "cut.csv.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"cut\.csv\.gz cannot be read"):
        read_chestxray14(tmp_path, tmp_path / "cut.csv.gz")


def test_the_real_table_is_read_whole(real_sources: dict[str, SourceTable]) -> None:
    source = real_sources["chestxray14"]
    assert source.labels.shape == (112120, 15)
    assert source.table["patient_id"].nunique() == 30805
    assert source.table["file"].notna().sum() == 1000
    counts = dict(zip(CLASSES, source.labels.sum(axis=0).tolist(), strict=True))
    assert counts["Infiltration"] == 19894
    assert counts["Hernia"] == 227
    assert counts["No Finding"] == 60361
    assert (source.labels[:, :14].any(axis=1) != source.labels[:, 14]).all(), "No Finding excludes findings"
