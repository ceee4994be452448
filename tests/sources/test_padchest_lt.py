"""PadChest-LT: CXR-LT 2026's table over PadChest's pictures."""

import gzip
from pathlib import Path

import pytest
from conftest import Run
from PIL import Image

from cxrlt_cli.artifacts.source_table import BLANK
from cxrlt_cli.errors import UserError
from cxrlt_cli.sources.padchest_lt import read_padchest_lt

NAMES = [
    "216840111366964012819207061112010307142602253_04-014-084.png",
    "216840111366964013829543166512013338135747880_02-094-102.png",
    "216840111366964013829543166512013338135758176_02-089-127.png",
]
EXACT = ["839860488694292331637988235681460987", "839860488694292331637988235681460999", "304568279487501136347236148679891455"]
ROUNDED = ["8.39860488694292e+35", "8.39860488694292e+35", "3.045682794875011e+35"]
DATES = ["20100307", "20131204", "20131204"]
OFFICIAL = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"


def _table(folder: Path, patients: list[str] = ROUNDED, labels: str = "Normal,Hernia", values: str = "1,0") -> Path:
    folder.mkdir(exist_ok=True)
    rows = [f"{name},{date},{patient},{values}\n" for name, date, patient in zip(NAMES, DATES, patients, strict=True)]
    path = folder / "CXRLT_2026_training.csv"
    path.write_text(f"ImageID,StudyDate_DICOM,PatientID,{labels}\n" + "".join(rows))
    return path


def _official(folder: Path, names: list[str] = NAMES) -> None:
    header = ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,Projection,Report,Labels\n"
    births, sexes, views = ["1938.0", "", "2020"], ["M", "F", "F"], ["PA", "L", "AP_horizontal"]
    rows = [
        f"{row},{name},{row},2010,S{row},{EXACT[row]},{births[row]},{sexes[row]},{views[row]},\"a, report\",['hernia']\n"
        for row, name in reversed(list(enumerate(names)))
    ]
    with gzip.open(folder / f"{OFFICIAL}.gz", "wt") as file:
        file.write(header + "".join(rows))


def _pictures(folder: Path, places: list[str]) -> None:
    for name, place in zip(NAMES, places, strict=True):
        (folder / place).mkdir(parents=True, exist_ok=True)
        Image.new("I;16", (8, 8), 9000).save(folder / place / name)


def test_rounded_patients_are_grouped_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _table(tmp_path)
    source = read_padchest_lt(tmp_path, None).source
    assert source.classes == ["Normal", "Hernia"]
    assert source.labels.tolist() == [[1, 0]] * 3
    patients = source.table["patient_id"].tolist()
    assert patients[0] == patients[1] != patients[2], "two patients became one, none became two"
    assert source.table["file"].tolist() == source.table["image_id"].tolist() == NAMES
    assert source.table[["study_id", "view", "sex", "age", "official_split"]].isna().all(axis=None)
    said = capsys.readouterr().err
    assert "PatientID is rounded (8.39860488694292e+35): 2 groups, the largest of 2 images" in said
    assert OFFICIAL in said


def test_one_number_is_one_patient_however_it_is_written(tmp_path: Path) -> None:
    _table(tmp_path, ["8.4e+35", "8.40E35", "840000000000000000000000000000000000"])
    assert read_padchest_lt(tmp_path, None).source.table["patient_id"].nunique() == 1
    _table(tmp_path, ["17", "17.0", "8.4e+35"])
    assert read_padchest_lt(tmp_path, None).source.table["patient_id"].tolist() == ["17.0", "17.0", "8.4e+35"]


def test_padchests_own_table_has_the_exact_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _table(tmp_path)
    _official(tmp_path)
    listing = read_padchest_lt(tmp_path, None)
    table = listing.source.table
    assert listing.source.classes == ["Normal", "Hernia"], "its own labels are not taken"
    assert table["image_id"].tolist() == NAMES
    assert table["patient_id"].tolist() == EXACT
    assert table["study_id"].tolist() == ["S0", "S1", "S2"]
    assert table["view"].tolist() == ["PA", "L", "AP_horizontal"]
    assert table["sex"].tolist() == ["M", "F", "F"]
    assert table["age"].fillna(-1).tolist() == [72, -1, -1], "no year of birth, and one after the picture"
    assert [path.name for path in listing.tables] == ["CXRLT_2026_training.csv", f"{OFFICIAL}.gz"]
    assert "rounded" not in capsys.readouterr().err


def test_exact_ids_need_no_other_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _table(tmp_path, EXACT)
    assert read_padchest_lt(tmp_path, None).source.table["patient_id"].tolist() == EXACT
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "lossy", ["8.39860488694292e+35", "839860488694292300000000000000000000", str(int(8.39860488694292e35)), "17.0"]
)
def test_ids_of_both_kinds_could_tear_a_patient(lossy: str, tmp_path: Path) -> None:
    _table(tmp_path, [EXACT[0], lossy, EXACT[2]])
    with pytest.raises(UserError, match="some PatientIDs are rounded") as caught:
        read_padchest_lt(tmp_path, None)
    assert OFFICIAL in caught.value.hint


def test_pictures_in_numbered_folders(tmp_path: Path) -> None:
    table = _table(tmp_path / "labels", EXACT)
    _pictures(tmp_path / "images", ["0", "54", "54"])
    (tmp_path / "images/0" / NAMES[1].replace("_", "-")).write_bytes(b"")
    (tmp_path / "images/54" / NAMES[2]).unlink()
    listing = read_padchest_lt(tmp_path / "images", table)
    assert listing.source.table["file"].fillna("").tolist() == [f"0/{NAMES[0]}", f"54/{NAMES[1]}", ""]
    assert listing.unlisted == 1


@pytest.mark.parametrize(
    ("patients", "labels", "values", "says"),
    [
        ([EXACT[0], "", EXACT[2]], "Normal", "1", "'PatientID' is empty in 1 rows"),
        (EXACT, "Normal", "maybe", "column 'Normal', row 1: 'maybe' is not a label"),
        (EXACT, "Normal,split", "1,fold", "fold is not a split"),
        (EXACT, "StudyID", "1", "has no label columns"),
    ],
)
def test_bad_tables(patients: list[str], labels: str, values: str, says: str, tmp_path: Path) -> None:
    _table(tmp_path, patients, labels, values)
    with pytest.raises(UserError, match=says) as caught:
        read_padchest_lt(tmp_path, None)
    assert caught.value.hint


def test_labels_may_be_blank_and_splits_named(tmp_path: Path) -> None:
    _table(tmp_path, EXACT, "Normal,split", ",train")
    source = read_padchest_lt(tmp_path, None).source
    assert source.labels.tolist() == [[BLANK]] * 3
    assert source.table["official_split"].tolist() == ["train"] * 3


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no label table .*: it is empty"):
        read_padchest_lt(tmp_path, None)
    path = _table(tmp_path)
    path.with_name("other.csv").write_text("a\n1\n")
    with pytest.raises(UserError, match=r"has CXRLT_2026_training\.csv, other\.csv"):
        read_padchest_lt(tmp_path, None)
    _official(tmp_path, [NAMES[0], "x.png", NAMES[2]])
    with pytest.raises(UserError, match=f"does not list 1 images of .*{NAMES[1]}"):
        read_padchest_lt(tmp_path, path)
    path.write_text("ImageID,Normal\na,1\n")
    with pytest.raises(UserError, match="no column PatientID, StudyDate_DICOM"):
        read_padchest_lt(tmp_path, path)
    path.write_text("ImageID,StudyDate_DICOM,PatientID,Normal\n" + "a.png,20100101,5,1\n" * 2)
    with pytest.raises(UserError, match=r"more than once: a\.png"):
        read_padchest_lt(tmp_path, path)


def test_the_command_caches_it(tmp_path: Path, cxrlt: Run) -> None:
    _table(tmp_path / "source")
    _pictures(tmp_path / "source", ["0", "1", "1"])
    ended = cxrlt("cache", "--source", f"padchest-lt={tmp_path / 'source'}", "--size", 32, "--workers", 1)
    assert ended.code == 0, ended.err
    assert "PatientID is rounded" in ended.err
    assert (tmp_path / "images/padchest-lt.h5").is_file()
