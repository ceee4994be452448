"""Stanford's layout, as published: full and small."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from PIL import Image

from cxrlt_cli.artifacts.source_table import BLANK, SourceTable
from cxrlt_cli.errors import UserError
from cxrlt_cli.sources.chexpert import CLASSES, read_chexpert

HEADER = "Path,Sex,Age,Frontal/Lateral,AP/PA," + ",".join(CLASSES) + "\n"
TRAIN = [
    "{}/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0\n",
    "{}/train/patient00002/study2/view1_frontal.jpg,Male,90,Frontal,PA,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,\n",
    "{}/train/patient00002/study2/view2_lateral.jpg,Unknown,x,Lateral,,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,\n",
]
VALID = ["{}/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP," + ",".join(["0.0", "1.0"] * 7) + "\n"]


def _layout(parent: Path, name: str = "CheXpert-v1.0-small", train: list[str] = TRAIN) -> Path:
    for row in (*TRAIN, *VALID):
        path = parent / row.split(",")[0].format(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 10).save(path)
    (parent / name / "train.csv").write_text(HEADER + "".join(train).format(*[name] * len(train)))
    (parent / name / "valid.csv").write_text(HEADER + "".join(VALID).format(name))
    return parent / name


def test_as_published(tmp_path: Path) -> None:
    folder = _layout(tmp_path)
    listing = read_chexpert(folder, None)
    table, labels = listing.source.table, listing.source.labels
    assert table["image_id"].tolist()[2:] == [
        "train/patient00002/study2/view2_lateral",
        "valid/patient64541/study1/view1_frontal",
    ]
    assert table["patient_id"].tolist() == ["patient00001", "patient00002", "patient00002", "patient64541"]
    assert table["study_id"].tolist()[1:3] == ["patient00002/study2"] * 2
    assert table["official_split"].tolist() == ["train", "train", "train", "val"]
    assert table["view"].tolist() == ["AP", "PA", "LATERAL", "AP"]
    assert table["sex"].fillna("").tolist() == ["F", "M", "", "M"]
    assert table["age"].fillna(-1).tolist() == [68, 90, -1, 73]
    assert all((listing.root / file).is_file() for file in table["file"])
    assert labels[0].tolist() == [1, *[BLANK] * 8, 0, *[BLANK] * 3, 1]
    no_finding, cardiomegaly = CLASSES.index("No Finding"), CLASSES.index("Cardiomegaly")
    assert labels[:, no_finding].tolist() == [1, BLANK, BLANK, 0], "blank stays blank"
    assert labels[:, cardiomegaly].tolist() == [BLANK, -1, -1, 0]


def test_ids_are_the_same_in_full_and_small_and_the_parent_will_do(tmp_path: Path) -> None:
    small = read_chexpert(_layout(tmp_path / "a"), None)
    full = read_chexpert(_layout(tmp_path / "b", "CheXpert-v1.0").parent, None)
    assert full.root == tmp_path / "b/CheXpert-v1.0"
    assert all((full.root / file).is_file() for file in full.source.table["file"])
    pd.testing.assert_frame_equal(small.source.table, full.source.table)
    _layout(tmp_path / "b")
    with pytest.raises(UserError, match=r"holds CheXpert-v1\.0, CheXpert-v1\.0-small"):
        read_chexpert(tmp_path / "b", None)


def test_the_batches_of_the_full_download(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As they are unpacked: the training batches hold patients, the first one valid/ and the tables."""
    whole = _layout(tmp_path / "whole", "CheXpert-v1.0")
    folder = tmp_path / "u20210408"
    first, second, third = (
        folder / f"CheXpert-v1.0 batch {name}" for name in ("1 (validate & csv)", "2 (train 1)", "3 (train 2)")
    )
    for holder in (first, second, third):
        holder.mkdir(parents=True)
    (whole / "train/patient00001").rename(second / "patient00001")
    (whole / "train/patient00002").rename(third / "patient00002")
    for name in ("valid", "train.csv", "valid.csv"):
        (whole / name).rename(first / name)
    listing = read_chexpert(folder, None)
    table = listing.source.table
    assert listing.root == folder
    assert table["file"].tolist()[0] == "CheXpert-v1.0 batch 2 (train 1)/patient00001/study1/view1_frontal.jpg"
    assert all((folder / file).is_file() for file in table["file"])
    assert table["image_id"].tolist()[0] == "train/patient00001/study1/view1_frontal", "the same as brought together"
    assert "looked up in 3 batches" in capsys.readouterr().err
    (third / "patient00002").rename(tmp_path / "gone")
    gone = read_chexpert(folder, None).source.table["file"]
    assert gone.tolist()[1] == "train/patient00002/study2/view1_frontal.jpg", "expected where it is published"


def test_the_test_set_has_labels_and_nothing_else(tmp_path: Path) -> None:
    folder = _layout(tmp_path)
    order = list(reversed(CLASSES))
    row = "test/patient64741/study1/view1_frontal.jpg," + ",".join("1" if name == "Fracture" else "0" for name in order)
    (folder / "test_labels.csv").write_text(f"Path,{','.join(order)}\n{row}\n")
    source = read_chexpert(folder, None).source
    assert source.table.iloc[-1][["official_split", "file"]].tolist() == ["test", "test/patient64741/study1/view1_frontal.jpg"]
    assert source.table.iloc[-1][["view", "sex", "age"]].isna().all()
    assert [name for name, value in zip(CLASSES, source.labels[-1], strict=True) if value == 1] == ["Fracture"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (TRAIN[0], "more than once: train/patient00001/study1/view1_frontal"),
        (TRAIN[0].replace("patient00001", "p1"), "row 4: '.*' is not a path of CheXpert"),
        (TRAIN[0].replace("train/", "development/"), "row 4: '.*' is not a path of CheXpert"),
        (TRAIN[0].replace("patient00001", "patient00009").replace("0.0", "U"), "'Pneumothorax', row 4: 'U' is not a label"),
        (TRAIN[0].partition(",")[2].join([",", ""]), "'Path' is empty in 1 rows"),
        (VALID[0], "more than once: valid/patient64541"),
    ],
)
def test_bad_rows(row: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says) as caught:
        read_chexpert(_layout(tmp_path, train=[*TRAIN, row]), None)
    assert caught.value.hint


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no label table"):
        read_chexpert(tmp_path, None)
    folder = _layout(tmp_path)
    (folder / "train.csv").write_text("Path,No Finding\nx,1\n")
    with pytest.raises(UserError, match="no column Enlarged Cardiomediastinum"):
        read_chexpert(folder, None)


def test_the_command_caches_it(tmp_path: Path, cxrlt: Run) -> None:
    ended = cxrlt("cache", "--source", f"chexpert={_layout(tmp_path)}", "--size", 32, "--workers", 1)
    assert ended.code == 0, ended.err
    assert (tmp_path / "images/chexpert.h5").is_file()


def test_the_real_table_is_read_whole(real_data: Path, real_sources: dict[str, SourceTable]) -> None:
    source = real_sources["chexpert"]
    plain = pd.read_csv(real_data / "chexpert/train.csv.gz")
    assert len(source.table) == len(plain) == 223414
    assert source.table["patient_id"].nunique() == plain["Path"].str.split("/").str[2].nunique() == 64540
    for column, name in enumerate(CLASSES):
        found = {value: int((source.labels[:, column] == value).sum()) for value in (1, 0, -1, BLANK)}
        counts = plain[name].value_counts()
        said = {value: int(counts.get(float(value), 0)) for value in (1, 0, -1)}
        assert found == {**said, BLANK: int(plain[name].isna().sum())}, name
    assert source.table["view"].value_counts().to_dict() == {"AP": 161590, "LATERAL": 32387, "PA": 29420, "LL": 16, "RL": 1}
    assert source.table["sex"].value_counts(dropna=False).tolist() == [132636, 90777, 1]
    assert np.array_equal(source.table["age"], plain["Age"])
    assert source.table["file"][0] == "train/patient00001/study1/view1_frontal.jpg"
