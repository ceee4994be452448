"""PadChest with its own labels."""

import gzip
from pathlib import Path

import pytest
from conftest import Run
from PIL import Image

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.source_table import BLANK, read_source_table
from cxrlt_cli.errors import UserError
from cxrlt_cli.sources.padchest import read_padchest

TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
HEADER = (
    ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,ViewPosition_DICOM,Projection,"
    "PhotometricInterpretation_DICOM,Report,MethodLabel,Labels\n"
)
LABELS = [
    "\"['pleural effusion', ' kyphosis', '']\"",
    "['normal']",
    "\"['Unchanged', 'kyphosis']\"",
    "['exclude']",
    "\"['suboptimal study', 'kyphosis']\"",
    "",
]


def _table(folder: Path, labels: list[str] = LABELS, name: str = TABLE) -> Path:
    folder.mkdir(exist_ok=True)
    rows = [
        f'{row},{row}.png,{row % 2},2010030{row},S{row},P{row % 3},1938.0,M,POSTEROANTERIOR,PA,MONOCHROME{1 + row % 2},"a, b",'
        f"Physician,{label}\n"
        for row, label in enumerate(labels)
    ]
    (folder / name).write_text(HEADER + "".join(rows))
    return folder / name


def test_labels_and_what_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _table(tmp_path)
    listing = read_padchest(tmp_path, None)
    source = listing.source
    assert source.classes == ["kyphosis", "normal", "pleural effusion"], "what is no finding is no label"
    assert source.labels.tolist() == [
        [1, 0, 1], [0, 1, 0], [1, BLANK, BLANK], [BLANK] * 3, [1, 0, 0], [BLANK] * 3,
    ]  # fmt: skip
    assert source.table["patient_id"].tolist() == ["P0", "P1", "P2"] * 2
    assert source.table["age"].tolist() == [72] * 6
    assert source.table[["view", "sex", "study_id"]].iloc[1].tolist() == ["PA", "M", "S1"]
    assert source.table["file"].tolist() == [f"{row}.png" for row in range(6)]
    assert "3 images were MONOCHROME1" in capsys.readouterr().err


def test_a_zipped_table_and_numbered_folders(tmp_path: Path) -> None:
    path = _table(tmp_path)
    path.with_name(f"{TABLE}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    (tmp_path / "0").mkdir()
    for name in ("0/0.png", "0/2.png"):
        Image.new("I;16", (8, 8), 9000).save(tmp_path / name)
    listing = read_padchest(tmp_path, None)
    assert listing.source.table["file"].fillna("").tolist() == ["0/0.png", "", "0/2.png", "", "", ""]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["\"['normal', oops']\"", "['normal']"], "row 1: a list that is not closed"),
        (["", ""], "has no labels"),
    ],
)
def test_bad_tables(labels: list[str], says: str, tmp_path: Path) -> None:
    _table(tmp_path, labels)
    with pytest.raises(UserError, match=says):
        read_padchest(tmp_path, None)


def test_the_command_caches_it_and_its_labels_are_classes(tmp_path: Path, cxrlt: Run) -> None:
    _table(tmp_path / "source", [*LABELS[:5], "['kerley lines']"])
    for row in range(6):
        Image.new("I;16", (8, 8), 9000 + 5000 * row).save(tmp_path / f"source/{row}.png")
    ended = cxrlt("cache", "--source", f"padchest={tmp_path / 'source'}", "--size", 32)
    assert ended.code == 0, ended.err
    assert read_source_table(tmp_path / "images/padchest.parquet").kind == "padchest"
    merge = ["merge", "--same-picture", "keep"]
    assert cxrlt(*merge, "--label-space", "sources").code == 0
    assert read_dataset(tmp_path / "dataset.parquet").classes == ["kerley lines", "kyphosis", "normal", "pleural effusion"]
    ended = cxrlt(*merge, "--label-space", "cxr-lt-2026", "--overwrite", "--map", "map.csv")
    assert ended.code == 2
    assert (tmp_path / "map.csv").read_text() == "source,label,class,nearest\npadchest,kerley lines,,\n"
    ended = cxrlt(*merge, "--label-space", "cxr-lt-2026", "--overwrite")
    assert ended.code == 0, ended.err
    assert "1 labels that no label space has are left out" in ended.err
