"""The images of a folder, and of a list."""

import os
from pathlib import Path

import pytest
from conftest import Run
from PIL import Image

from cxrlt_cli.errors import UserError
from cxrlt_cli.predict.folder import ListColumns, image_files, listed_files, refuse_all_absent


def _picture(path: Path, kind: str = "PNG") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), 9).save(path, kind)


def _dicom(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 20)


def test_images_are_known_by_their_content_where_the_name_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a disc of a hospital, and in a folder of links."""
    _dicom(tmp_path / "root/DICOM/ST0001/IM000001")
    _dicom(tmp_path / "root/DICOM/ST0001/1.2.840.113619.2.5.1762386")
    _dicom(tmp_path / "root/DICOMDIR")
    _picture(tmp_path / "root/a.PNG")
    _picture(tmp_path / "root/b", "JPEG")
    _picture(tmp_path / "other/c.png")
    (tmp_path / "root/linked").symlink_to(tmp_path / "other")
    (tmp_path / "root/linked/up").symlink_to(tmp_path / "root")
    (tmp_path / "root/broken.png").symlink_to("none")
    (tmp_path / "root/labels.csv").write_text("id")
    (tmp_path / "root/._a.png").write_bytes(b"")
    found = image_files(tmp_path / "root")
    assert list(found) == ["DICOM/ST0001/1.2.840.113619.2.5.1762386", "DICOM/ST0001/IM000001", "a.PNG", "b", "linked/c.png"]
    assert all(file.path == tmp_path / "root" / name for name, file in found.items())
    said = capsys.readouterr().err.splitlines()
    folder = tmp_path / "root"
    assert said == [
        f"skipped in {folder}: 1 (a DICOM directory): DICOMDIR",
        f"warning: skipped in {folder}: 1 (a broken link): broken.png",
        f"warning: skipped in {folder}: 1 (a link to a folder that is read already): linked/up/",
        f"skipped in {folder}: 1 (hidden): ._a.png",
        f"skipped in {folder}: 1 (neither PNG, JPEG nor DICOM): labels.csv",
    ]


def test_the_disc_of_real_odd_files(real_data: Path) -> None:
    assert len(image_files(real_data / "odd/cd")) == 3


def test_a_folder_without_images_and_names_that_no_table_can_hold(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UserError, match="has no PNG, JPEG or DICOM file"):
        image_files(tmp_path)
    _picture(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / os.fsdecode(b"caf\xe9.png"))
    with pytest.raises(UserError, match=r"1 file names below .* are not UTF-8"):
        image_files(tmp_path)


def test_a_list_of_names_without_suffix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in the RSNA challenge: the table has the id, the file is ID.dcm."""
    for name in ("0004cfab", "000924cf"):
        _dicom(tmp_path / f"{name}.dcm")
    (tmp_path / "list.csv").write_text("patientId,x,Target\n0004cfab,,0\n000924cf,264,1\n000924cf,562,1\n")
    found = listed_files(tmp_path, tmp_path / "list.csv", ListColumns("patientId", "patientId"))
    assert {name: file.path.name for name, file in found.items()} == {"0004cfab": "0004cfab.dcm", "000924cf": "000924cf.dcm"}
    assert ".dcm is added, as in 0004cfab.dcm" in capsys.readouterr().err


def test_where_no_listed_image_is_there_the_first_is_named_and_what_lies_beside_it(tmp_path: Path) -> None:
    _picture(tmp_path / "x/1.png")
    (tmp_path / "list.csv").write_text("dicom_id,path\na,x/1.jpg\nb,x/2.jpg\n")
    files = listed_files(tmp_path, tmp_path / "list.csv", ListColumns("dicom_id", ""))
    with pytest.raises(UserError, match=r"the first would be .*x/1\.jpg: .* has '1.png' instead of '1.jpg'"):
        refuse_all_absent(files, tmp_path / "list.csv")
    _picture(tmp_path / "x/2.jpg")
    refuse_all_absent(files, tmp_path / "list.csv")


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "--images", os.fsdecode(b"caf\xe9")],
        ["merge", "--map", os.fsdecode(b"\xff=Mass")],
        ["info", os.fsdecode(b"\xe9")],
    ],
)
def test_what_is_typed_must_be_utf_8(arguments: list[str], cxrlt: Run) -> None:
    ended = cxrlt(*arguments)
    assert ended.code == 2
    assert "is not UTF-8" in ended.err
    assert "hint: rename it" in ended.err
