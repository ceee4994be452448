"""Google's expert labels of ChestX-ray14 images, as published."""

from pathlib import Path

import pytest
from conftest import Run
from PIL import Image

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.errors import UserError
from cxrlt_cli.sources.google_nih import read_google_nih
from cxrlt_cli.sources.listing import read_text_table

FINDINGS = (
    "Atelectasis,Cardiomegaly,Effusion,Infiltration,Mass,Nodule,Pneumonia,Pneumothorax,Consolidation,Edema,Emphysema,Fibrosis,"
    "Pleural Thickening,Hernia"
)
ALL = "all_findings_expert_labels_test_labels.csv"
FOUR = "four_findings_expert_labels_{}_labels.csv"
FOUR_COLUMNS = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,OriginalImage[Width,Height],"
    "OriginalImagePixelSpacing[x,y],Fracture,Pneumothorax,Airspace opacity,Nodule or mass,Set Id\n"
)


@pytest.fixture
def nih(tmp_path: Path) -> Path:
    """NIH's folder: eight images of four patients."""
    folder = tmp_path / "nih"
    (folder / "images").mkdir(parents=True)
    for number in range(8):
        Image.effect_noise((16, 16), 60 + number).save(folder / f"images/{number // 2 + 1:08}_{number % 2:03}.png")
    return folder


def all_findings(folder: Path, extra: str = "") -> Path:
    rows = [
        "00000001_000.png,1,NO," + ",".join(["NO"] * 14) + ",NO\n",
        "00000002_001.png,2,YES," + ",".join(["YES", "NO", "HEDGE", "", *["NO"] * 9, "YES"]) + ",YES\n",
    ]
    folder.mkdir(exist_ok=True)
    (folder / ALL).write_text(f"Image ID,Patient ID,Abnormal,{FINDINGS},Other\n" + "".join(rows) + extra)
    return folder


def four_findings(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for split, row in (
        ("validation", "00000003_000.png,Effusion,0,3,56,M,AP,2500,2048,0.168,0.168,NO,YES,NO,YES,val\n"),
        ("test", "00000004_001.png,No Finding,1,4,60,F,PA,2500,2048,0.168,0.168,YES,NO,YES,NO,test\n"),
    ):
        (folder / FOUR.format(split)).write_text(FOUR_COLUMNS + row)
    return folder


def test_all_findings(nih: Path, tmp_path: Path) -> None:
    source = read_google_nih(nih, all_findings(tmp_path / "labels")).source
    assert source.table["image_id"].tolist() == ["00000001_000.png", "00000002_001.png"]
    assert source.table["patient_id"].tolist() == ["1", "2"]
    assert source.table["file"].tolist() == ["images/00000001_000.png", "images/00000002_001.png"]
    assert set(source.table["official_split"]) == {"test"}
    assert source.classes == [*FINDINGS.split(","), "Other", "No Finding"]
    assert source.labels[0].tolist() == [0] * 15 + [1]
    assert source.labels[1].tolist() == [1, 0, -1, -2, *[0] * 9, 1, 1, 0]


def test_four_findings_of_both_sets(nih: Path, tmp_path: Path) -> None:
    source = read_google_nih(nih, four_findings(tmp_path / "labels")).source
    assert source.classes == ["Fracture", "Pneumothorax", "Airspace opacity", "Nodule or mass"]
    assert source.table["official_split"].tolist() == ["val", "test"]
    assert source.table["view"].tolist() == ["AP", "PA"]
    assert source.table["age"].tolist() == [56, 60]
    assert source.labels.tolist() == [[0, 1, 0, 1], [1, 0, 1, 0]]


def test_bad_tables_are_refused_by_name(nih: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    with pytest.raises(UserError, match="labels has no label table"):
        read_google_nih(nih, labels)
    with pytest.raises(UserError, match="column 'Hernia', row 3: 'MAYBE' is not a label"):
        read_google_nih(nih, all_findings(labels, "00000003_000.png,3,NO," + "NO," * 13 + "MAYBE,NO\n"))
    with pytest.raises(UserError, match=r"lists 1 images more than once: 00000001_000\.png"):
        read_google_nih(nih, all_findings(labels, "00000001_000.png,1,NO," + "NO," * 14 + "NO\n"))
    with pytest.raises(UserError, match="only one of"):
        read_google_nih(nih, four_findings(all_findings(labels)))
    readers = tmp_path / "readers.csv"
    readers.write_text("Image ID,Patient ID,Reader ID,Abnormal\na.png,1,7,0\n")
    with pytest.raises(UserError, match="a row per reader and image") as caught:
        read_google_nih(nih, readers)
    assert "evaluate --readers" in caught.value.hint


def test_merged_with_nihs_labels_a_patient_is_in_one_split(cxrlt: Run, nih: Path, tmp_path: Path) -> None:
    """The expert labels put patients 1 and 2 in the test split: NIH's other images of them go there too."""
    header = FOUR_COLUMNS.partition(",Fracture")[0] + "\n"
    names = [f"{number // 2 + 1:08}_{number % 2:03}.png" for number in range(8)]
    rows = [f"{name},Mass,0,{int(name[:8])},56,M,AP,1,1,0.1,0.1\n" for name in names]
    (nih / "Data_Entry_2017_v2020.csv").write_text(header + "".join(rows))
    size = ["--size", "8", "--workers", "1"]
    assert cxrlt("cache", "--source", f"chestxray14={nih}", *size).code == 0
    ended = cxrlt("cache", "--source", f"google-nih={nih}", "--labels", all_findings(tmp_path / "labels"), *size)
    assert ended.code == 0, ended.err
    ended = cxrlt("merge", "--duplicate-ids", "prefix", "--same-picture", "keep", "--split", "50,50,0")
    assert ended.code == 0, ended.err
    dataset = read_dataset(tmp_path / "dataset.parquet")
    assert dataset.header.label_space == "chestxray14"
    assert set(dataset.table["patient_id"]) == {f"chestxray14:{number}" for number in range(1, 5)}
    splits = dataset.table.groupby("patient_id", observed=True)["split"].agg(set)
    assert splits["chestxray14:1"] == splits["chestxray14:2"] == {"test"}
    assert all(len(found) == 1 for found in splits)


def test_the_published_tables(nih: Path, real_data: Path) -> None:
    """Counts in the published files, read as text: all-findings and both sets of four findings."""
    for name, count in (("all-findings-labels", 810), ("four-findings-validation", 2414), ("four-findings-test", 1962)):
        path = real_data / f"experts/{name}.csv.gz"
        source = read_google_nih(nih, path).source
        table = read_text_table(path)
        assert len(source.table) == count
        for index, finding in enumerate(source.classes):
            if finding in table:
                assert (source.labels[:, index] == 1).sum() == (table[finding] == "YES").sum()
