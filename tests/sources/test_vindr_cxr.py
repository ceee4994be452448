"""VinDr-CXR as PhysioNet publishes it, and as Kaggle does."""

from pathlib import Path

import pytest
from conftest import Run
from PIL import Image

from cxrlt_cli.artifacts.source_table import BLANK
from cxrlt_cli.errors import UserError
from cxrlt_cli.sources.vindr_cxr import CLASSES, read_vindr_cxr

A, B, T = "000434271f63a053c4128a0ba6352c7f", "00053190460d56c53cc3e57321387478", "002a34c58c5b758217ed1f584ccbcfe9"


def _row(ids: str, *present: str) -> str:
    return ids + "," + ",".join("1" if name in present else "0" for name in CLASSES) + "\n"


TRAIN = [
    _row(f"{A},R10", "Cardiomegaly", "Other diseases"), _row(f"{A},R8", "Cardiomegaly", "ILD"), _row(f"{A},R9", "Cardiomegaly"),
    _row(f"{B},R10", "No finding"), _row(f"{B},R8", "No finding"), _row(f"{B},R11", "COPD"),
]  # fmt: skip


def _layout(folder: Path, train: list[str] = TRAIN, suffix: str = ".png") -> Path:
    for split, names in {"train": (A, B), "test": (T,)}.items():
        (folder / split).mkdir(parents=True)
        for name in names:
            (folder / split / f"{name}{suffix}").touch()
            if suffix == ".png":
                Image.new("L", (8, 8), 10).save(folder / split / f"{name}.png")
    annotations = folder / "annotations"
    annotations.mkdir()
    header = ",".join(CLASSES) + "\n"
    (annotations / "image_labels_train.csv").write_text("image_id,rad_id," + header + "".join(train))
    test = "image_id," + header.replace("Other diseases", "Other disease")
    (annotations / "image_labels_test.csv").write_text(test + _row(T, "Other diseases", "Lung tumor"))
    (annotations / "annotations_train.csv").write_text("image_id,rad_id,class_name\nx,R1,Edema\n")
    return folder


def _labels(folder: Path, labels: Path | None = None) -> dict[tuple[str, str], int]:
    """(image, class) -> label of all that are not 0."""
    source = read_vindr_cxr(folder, labels).source
    return {
        (image, name): int(value)
        for image, row in zip(source.table["image_id"], source.labels, strict=True)
        for name, value in zip(source.classes, row, strict=True)
        if value != 0
    }


def test_three_readers_make_one_label(tmp_path: Path) -> None:
    assert _labels(_layout(tmp_path)) == {
        (A, "Cardiomegaly"): 1,
        (A, "ILD"): -1,
        (A, "Other diseases"): -1,
        (B, "No finding"): 1,
        (B, "COPD"): -1,
        (T, "Other diseases"): 1,
        (T, "Lung tumor"): 1,
    }


def test_as_published(tmp_path: Path) -> None:
    listing = read_vindr_cxr(_layout(tmp_path, suffix=".dicom"), None)
    source = listing.source
    assert (source.kind, source.classes, len(CLASSES)) == ("vindr-cxr", CLASSES, 28)
    assert source.table["image_id"].tolist() == source.table["patient_id"].tolist() == [A, B, T]
    assert source.table["official_split"].tolist() == ["train", "train", "test"]
    assert source.table["view"].tolist() == ["PA"] * 3
    assert source.table["file"].tolist() == [f"train/{A}.dicom", f"train/{B}.dicom", f"test/{T}.dicom"]
    assert [path.name for path in listing.tables] == ["image_labels_train.csv", "image_labels_test.csv"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".dcm"])
def test_converted_images(suffix: str, tmp_path: Path) -> None:
    listing = read_vindr_cxr(_layout(tmp_path, suffix=suffix), None)
    assert all((listing.root / file).is_file() for file in listing.source.table["file"])


def test_two_readers_and_blanks(tmp_path: Path) -> None:
    blank = _row(f"{A},R1", "Edema").replace(",1,", ",,", 1)
    one_yes = [_row(f"{A},R2", "Mediastinal shift"), _row(f"{A},R3")]
    found = _labels(_layout(tmp_path, [blank, *one_yes]))
    assert (found[A, "Mediastinal shift"], (A, "Edema") in found) == (-1, False), "one of three; 0 by the two who said"
    none = _layout(tmp_path / "b", [blank])
    assert _labels(none)[A, "Edema"] == BLANK
    pair = _layout(tmp_path / "c", one_yes)
    assert _labels(pair)[A, "Mediastinal shift"] == -1, "half is no majority"


KAGGLE = [
    f"{A},Cardiomegaly,3,R10,691,1375,1653,1831\n", f"{A},Cardiomegaly,3,R10,1,2,3,4\n", f"{A},No finding,14,R8,,,,\n",
    f"{A},Cardiomegaly,3,R9,1,2,3,4\n", f"{A},Aortic enlargement,0,R9,1,2,3,4\n",
    f"{B},No finding,14,R10,,,,\n", f"{B},No finding,14,R8,,,,\n", f"{B},No finding,14,R9,,,,\n",
]  # fmt: skip


def test_kaggles_boxes(tmp_path: Path) -> None:
    table = tmp_path / "train.csv"
    table.write_text("image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n" + "".join(KAGGLE))
    expected = {(A, "Aortic enlargement"): -1, (A, "Cardiomegaly"): 1, (A, "No finding"): -1, (B, "No finding"): 1}
    assert _labels(tmp_path) == _labels(tmp_path, table) == expected
    listing = read_vindr_cxr(tmp_path, None)
    assert listing.source.classes == ["Aortic enlargement", "Cardiomegaly", "No finding"]
    assert listing.source.table["file"].tolist() == [f"train/{A}.dicom", f"train/{B}.dicom"]


def test_boxes_of_train_and_test_have_the_classes_of_both(tmp_path: Path) -> None:
    (tmp_path / "annotations_train.csv").write_text(f"image_id,rad_id,class_name\n{A},R1,Edema\n")
    (tmp_path / "annotations_test.csv").write_text(f"image_id,class_name\n{T},Lung cyst\n{T},Lung cyst\n")
    source = read_vindr_cxr(tmp_path, None).source
    assert source.classes == ["Edema", "Lung cyst"]
    assert source.labels.tolist() == [[1, 0], [0, 1]]
    assert source.table["official_split"].tolist() == ["train", "test"]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([TRAIN[0], TRAIN[0]], f"{A} has two rows of R10"),
        ([TRAIN[0].replace(",1,", ",3,", 1)], "column 'Cardiomegaly', row 1: '3' is not a label"),
        ([TRAIN[0].replace(",1,", ",-1,", 1)], "-1 is not a reading"),
        ([TRAIN[0].replace("R10", "")], "'rad_id' is empty"),
        ([TRAIN[0].replace(A, "")], "'image_id' is empty"),
        ([TRAIN[0].replace(A, T)], f"more than once: {T}"),
        ([], "has no rows"),
    ],
)
def test_bad_tables(rows: list[str], says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says) as caught:
        read_vindr_cxr(_layout(tmp_path, rows), None)
    assert caught.value.hint


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no label table \(image_labels_train, image_labels_test, annotations_train"):
        read_vindr_cxr(tmp_path, None)
    (tmp_path / "train.csv").write_text(f"image_id,class_name,rad_id\n{A},Cardiomegalie,R1\n")
    with pytest.raises(UserError, match="Cardiomegalie is not a finding of VinDr-CXR"):
        read_vindr_cxr(tmp_path, None)
    (tmp_path / "train.csv").write_text(f"image_id,rad_id,Edema\n{A},R1,1\n")
    with pytest.raises(UserError, match="no column Aortic enlargement"):
        read_vindr_cxr(tmp_path, None)


def test_the_command_caches_it(tmp_path: Path, cxrlt: Run) -> None:
    ended = cxrlt("cache", "--source", f"vindr-cxr={_layout(tmp_path / 'source')}", "--size", 32, "--workers", 1)
    assert ended.code == 0, ended.err
    assert (tmp_path / "images/vindr-cxr.h5").is_file()
