"""`cxrlt cache` as a command: what is left on disk, after success, bad input and kills."""

import csv
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pydicom
import pytest
from conftest import CACHE, CLASSES, Run
from dicom_files import write_dicom

from cxrlt_cli.artifacts.failures import read_failures
from cxrlt_cli.artifacts.image_pixels import ImageReader
from cxrlt_cli.artifacts.source_table import read_source_table
from cxrlt_cli.labels.spaces import read_space
from cxrlt_cli.preprocess.remarks import UnreadableImageError
from cxrlt_cli.preprocess.settings import PixelSettings, Square, make_square, read_square


def _cache(folder: Path) -> list[object]:
    return [*CACHE, "--source", f"table={folder / 'labels.csv'}", "--name", "pictures"]


def test_pixels_table_and_nothing_else(cxrlt: Run, pictures: Path, tmp_path: Path) -> None:
    ended = cxrlt(*_cache(pictures))
    assert ended.code == 0, ended.err
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["pictures.h5", "pictures.parquet"]
    source = read_source_table(tmp_path / "images/pictures.parquet")
    assert source.classes == CLASSES
    reader = ImageReader(tmp_path / "images/pictures.h5")
    stored = reader.read(source.table["row"].to_numpy())
    for row, file in enumerate(source.table["file"]):
        assert (stored[row] == read_square(pictures / file, PixelSettings(32))).all()
    published = pd.read_csv(pictures / "labels.csv")
    assert (source.labels == published[CLASSES].to_numpy()).all()
    assert source.header.provenance.config["size"] == 32


def test_label_columns_by_the_name_of_a_label_space(cxrlt: Run, pictures: Path, tmp_path: Path) -> None:
    table = pd.read_csv(pictures / "labels.csv")
    for name in read_space("cxr-lt-2023"):
        table[name] = 0
    table.to_csv(pictures / "labels.csv", index=False)
    assert cxrlt(*_cache(pictures), "--label-columns", "cxr-lt-2023").code == 0
    assert read_source_table(tmp_path / "images/pictures.parquet").classes == read_space("cxr-lt-2023")


def test_bad_images_are_listed_and_never_replaced(cxrlt: Run, pictures: Path, tmp_path: Path) -> None:
    whole = (pictures / "pictures/0003.png").read_bytes()
    (pictures / "pictures/0003.png").write_bytes(whole[:-40])
    (pictures / "pictures/0005.png").write_bytes(b"")
    (pictures / "pictures/0007.png").write_bytes(b"no picture")
    ended = cxrlt(*_cache(pictures))
    assert ended.code == 0, ended.err
    assert "3 images cannot be read" in ended.err
    with (tmp_path / "images/pictures.failed.csv").open() as file:
        failed = {row["image_id"]: row["reason"] for row in csv.DictReader(file)}
    assert set(failed) == {"i0003", "i0005", "i0007"}
    assert "truncated" in failed["i0003"]
    table = read_source_table(tmp_path / "images/pictures.parquet").table
    assert len(table) == 93
    assert not set(failed) & set(table["image_id"])
    reader = ImageReader(tmp_path / "images/pictures.h5")
    for image, row in zip(table["image_id"], table["row"], strict=True):
        assert reader.layout.ids[row] == image

    (pictures / "pictures/0003.png").write_bytes(whole)  # mended: --resume takes it in, and leaves the rest
    ended = cxrlt(*_cache(pictures), "--resume")
    assert ended.code == 0, ended.err
    assert "i0003" in set(read_source_table(tmp_path / "images/pictures.parquet").table["image_id"])
    assert "i0003" not in (tmp_path / "images/pictures.failed.csv").read_text()


def test_missing_images_are_an_error_with_counts_unless_meant(cxrlt: Run, pictures: Path, tmp_path: Path) -> None:
    for number in range(90, 96):
        (pictures / f"pictures/00{number}.png").unlink()
    ended = cxrlt(*_cache(pictures))
    assert ended.code == 2
    assert "lists 96 images, 6 of them are not" in ended.err
    assert "--allow-missing" in ended.err
    assert not (tmp_path / "images").exists()
    assert cxrlt(*_cache(pictures), "--allow-missing").code == 0
    assert (tmp_path / "images/pictures.failed.csv").read_text().count("missing") == 6
    with h5py.File(tmp_path / "images/pictures.h5") as file:
        assert file["images"].shape == (90, 32, 32)


@pytest.mark.parametrize(
    ("rename", "says"),
    [
        (lambda path: path.replace(".png", ".jpg"), "has '0000.png' instead of '0000.jpg'"),
        (lambda path: path.replace("/", "\\"), "it is written with \\ where this machine has /"),
        (lambda path: path.upper(), "has 'pictures' instead of 'PICTURES'"),
        (lambda path: "x" * 300 + path, "File name too long"),
        (lambda path: f"images/{path}", "instead of 'images'"),
    ],
)
def test_where_no_image_is_there_the_first_path_is_named(
    rename: Callable[[str], str], says: str, cxrlt: Run, pictures: Path
) -> None:
    table = pd.read_csv(pictures / "labels.csv")
    table["path"] = table["path"].map(rename)
    table.to_csv(pictures / "labels.csv", index=False)
    (pictures / "Images").mkdir()
    ended = cxrlt(*_cache(pictures))
    assert ended.code == 2
    assert "none of the 96 images that" in ended.err
    assert f"the first would be {pictures / rename('pictures/0000.png')}: " in ended.err
    assert says in ended.err
    assert "see --images" in ended.err


def test_one_path_that_cannot_be_is_missing(cxrlt: Run, pictures: Path) -> None:
    table = pd.read_csv(pictures / "labels.csv")
    table.loc[3, "path"] = "x" * 300
    table.to_csv(pictures / "labels.csv", index=False)
    ended = cxrlt(*_cache(pictures))
    assert ended.code == 2
    assert "1 of them are not under" in ended.err
    assert "(1: File name too long)" in ended.err
    ended = cxrlt(*_cache(pictures), "--allow-missing")
    assert ended.code == 0, ended.err
    assert "1 of 96 images are left out (1: File name too long)" in ended.err


def test_label_columns_longer_than_a_file_name_may_be(cxrlt: Run, pictures: Path, tmp_path: Path) -> None:
    table = pd.read_csv(pictures / "labels.csv")
    names = [f"Finding number {number}" for number in range(40)]
    table[names] = 0
    table.to_csv(pictures / "labels.csv", index=False)
    ended = cxrlt(*_cache(pictures), "--label-columns", ",".join(names))
    assert ended.code == 0, ended.err
    assert read_source_table(tmp_path / "images/pictures.parquet").classes == names


def test_an_existing_cache_is_refused_resumed_or_overwritten(cxrlt: Run, pictures: Path, tmp_path: Path) -> None:
    cxrlt(*_cache(pictures))
    before = (tmp_path / "images/pictures.h5").read_bytes()
    ended = cxrlt(*_cache(pictures))
    assert ended.code == 2
    assert "--overwrite" in ended.err
    assert (tmp_path / "images/pictures.h5").read_bytes() == before
    assert cxrlt(*_cache(pictures), "--resume").code == 0
    assert (tmp_path / "images/pictures.h5").read_bytes() == before
    ended = cxrlt(*_cache(pictures), "--resume", "--fit", "crop")
    assert ended.code == 2
    assert "fit: 'pad' then, 'crop' now" in ended.err
    assert cxrlt(*_cache(pictures), "--overwrite", "--fit", "crop").code == 0
    assert (tmp_path / "images/pictures.h5").read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--source", "nih=x"], "unknown kind 'nih'"),
        (["--source", "x"], "is not KIND=PATH"),
        (["--source", "table=none.csv"], "none.csv is not there"),
        (["--source", "chestxray14=none"], "only for --source table"),
        (["--source", "table=none.csv", "--size", "4"], "--size 4"),
        (["--source", "table=none.csv", "--resume", "--overwrite"], "exclude each other"),
        (["--source", "table=none.csv", "--name", "../x"], "cannot be an artifact's name"),
        (["--source", "table=none.csv", "--values", "YES"], "--values 'YES' is not WORD=LABEL"),
        (["--source", "table=none.csv", "--values", "YES=2"], "--values 'YES=2' is not WORD=LABEL"),
        (["--source", "table=none.csv", "--values", "yes=1,YES=0"], "--values 'yes=1,YES=0' is not WORD=LABEL"),
        (["--source", "table=none.csv", "--separator", ";"], "--separator ';' needs --label-column"),
        (["--source", "table=none.csv", "--label-column", "Labels"], "--label-columns and --values do not go with it"),
        (["--source", "chestxray14=none", "--label-column", "x"], "--label-columns, --label-column: only for --source"),
    ],
)
def test_wrong_usage_is_one_message_with_a_hint(arguments: list[str], says: str, cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt(*CACHE, *arguments)
    assert ended.code == 2
    assert says in ended.err
    assert ended.err.count("error:") == ended.err.count("hint:") == 1
    assert not list(tmp_path.iterdir())


def test_a_workspace_that_cannot_be_written_is_one_message(cxrlt: Run, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file where the folder would be")
    ended = cxrlt(*_cache(pictures))
    assert ended.code == 2
    assert "cannot" in ended.err
    assert "Traceback" not in ended.err


def test_when_nothing_can_be_read_nothing_is_left(cxrlt: Run, pictures: Path, tmp_path: Path) -> None:
    for path in (pictures / "pictures").iterdir():
        path.write_bytes(b"no picture")
    ended = cxrlt(*_cache(pictures))
    assert ended.code == 2
    assert "none of the 96 images can be read: neither PNG, JPEG nor DICOM" in ended.err
    assert not list((tmp_path / "images").iterdir())


def _decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are decoded from now on."""
    decoded: list[Path] = []

    def count(path: Path, *given: object) -> Square:
        decoded.append(path)
        return make_square(path, *given)  # type: ignore[arg-type]

    monkeypatch.setattr("cxrlt_cli.preprocess.decode_workers.make_square", count)
    return decoded


def test_corrected_labels_are_taken_in_without_decoding(
    cxrlt: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = _decoded(monkeypatch)
    assert cxrlt(*_cache(pictures)).code == 0
    assert len(decoded) == 96
    pixels = (tmp_path / "images/pictures.h5").read_bytes()
    merge = ["merge", "--label-space", "chestxray14", "--overwrite"]
    assert "changed since" not in cxrlt(*merge).err
    table = pd.read_csv(pictures / "labels.csv")
    table["Hernia"] = 1 - table["Hernia"]
    table["patient_id"] = "q" + table["patient_id"]
    table["sex"] = "F"
    table.to_csv(pictures / "labels.csv", index=False)
    ended = cxrlt(*merge)
    assert ended.code == 0, ended.err
    assert f"warning: {pictures / 'labels.csv'} has changed since pictures was cached" in ended.err
    assert "cxrlt cache … --resume" in ended.err
    decoded.clear()
    ended = cxrlt(*_cache(pictures), "--resume")
    assert ended.code == 0, ended.err
    assert not decoded
    assert (tmp_path / "images/pictures.h5").read_bytes() == pixels
    source = read_source_table(tmp_path / "images/pictures.parquet")
    assert (source.labels == table[CLASSES].to_numpy()).all()
    assert source.table["patient_id"].tolist() == table["patient_id"].tolist()
    assert set(source.table["sex"]) == {"F"}
    ended = cxrlt(*merge)
    assert ended.code == 0, ended.err
    assert "changed since" not in ended.err
    ended = cxrlt(*_cache(pictures), "--label-columns", "Hernia", "--resume")
    assert ended.code == 0, ended.err
    assert read_source_table(tmp_path / "images/pictures.parquet").classes == ["Hernia"]
    assert not decoded


def test_an_unfinished_cache_goes_on_with_corrected_labels(cxrlt: Run, pictures: Path, tmp_path: Path) -> None:
    (pictures / "pictures/0003.png").write_bytes(b"no picture")
    assert cxrlt(*_cache(pictures)).code == 0
    (tmp_path / "images/pictures.h5").rename(tmp_path / "images/pictures.h5.part")
    (tmp_path / "images/pictures.parquet").unlink()
    ended = cxrlt(*_cache(pictures), "--label-columns", "Hernia,Effusion", "--resume")
    assert ended.code == 0, ended.err
    assert read_source_table(tmp_path / "images/pictures.parquet").classes == ["Hernia", "Effusion"]


def test_another_list_of_images_is_refused(cxrlt: Run, pictures: Path, tmp_path: Path) -> None:
    assert cxrlt(*_cache(pictures)).code == 0
    table = pd.read_csv(pictures / "labels.csv")
    table.loc[3, "path"] = table.loc[4, "path"]
    table.to_csv(pictures / "labels.csv", index=False)
    ended = cxrlt(*_cache(pictures), "--resume")
    assert ended.code == 2
    assert "the list of images changed since: i0003 (pictures/0003.png then, pictures/0004.png now)" in ended.err
    table["image_id"] = table["image_id"].replace("i0007", "j0007")
    table.to_csv(pictures / "labels.csv", index=False)
    ended = cxrlt(*_cache(pictures), "--resume")
    assert ended.code == 2
    assert "changed since: i0007 (gone), j0007 (new), i0003 (pictures/0003.png then" in ended.err


def test_corrected_labels_of_shards_are_joined_again(
    cxrlt: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("0/2", "1/2"):
        assert cxrlt(*_cache(pictures), "--shard", part).code == 0
    assert cxrlt("join", "pictures").code == 0
    table = pd.read_csv(pictures / "labels.csv")
    table["Hernia"] = 1 - table["Hernia"]
    table.to_csv(pictures / "labels.csv", index=False)
    decoded = _decoded(monkeypatch)
    assert cxrlt(*_cache(pictures), "--shard", "0/2", "--resume").code == 0
    ended = cxrlt("join", "pictures", "--overwrite")
    assert ended.code == 2
    assert "the labels or patients changed between them" in ended.err
    assert cxrlt(*_cache(pictures), "--shard", "1/2", "--resume").code == 0
    ended = cxrlt("merge", "--label-space", "chestxray14")
    assert ended.code == 0, ended.err
    assert "cxrlt join pictures --overwrite joins it again" in ended.err
    assert cxrlt("join", "pictures", "--overwrite").code == 0
    assert (read_source_table(tmp_path / "images/pictures.parquet").labels == table[CLASSES].to_numpy()).all()
    ended = cxrlt("merge", "--label-space", "chestxray14", "--overwrite")
    assert ended.code == 0, ended.err
    assert "changed since" not in ended.err
    assert not decoded


def test_pictures_that_a_column_calls_inverted_are_turned_round(cxrlt: Run, pictures: Path, tmp_path: Path) -> None:
    table = pd.read_csv(pictures / "labels.csv")
    table["photometric"] = ["MONOCHROME1", "MONOCHROME2"] * (len(table) // 2)
    table.to_csv(pictures / "labels.csv", index=False)
    assert cxrlt(*_cache(pictures), "--invert-column", "photometric", "--fit", "stretch").code == 0
    source = read_source_table(tmp_path / "images/pictures.parquet")
    assert source.table["inverted"].tolist() == [True, False] * 48
    stored = ImageReader(tmp_path / "images/pictures.h5").read(np.arange(2))
    plain = [read_square(pictures / file, PixelSettings(32, "stretch")) for file in source.table["file"][:2]]
    assert np.abs(stored[0].astype(int) - (255 - plain[0].astype(int))).max() <= 1
    assert (stored[1] == plain[1]).all()


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Permission denied"),
        FileNotFoundError(2, "No such file or directory"),
        ImportError("This platform lacks a functioning sem_open implementation"),
    ],
)
def test_without_semaphores_threads_decode(
    error: Exception, cxrlt: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where /dev/shm may not be written to, or Python was built without semaphores."""

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr("multiprocessing.synchronize._multiprocessing.SemLock", refuse)
    monkeypatch.setattr("cxrlt_cli.preprocess.decode_workers._FEW", 8)
    ended = cxrlt(*_cache(pictures))
    assert ended.code == 0, ended.err
    assert f"no semaphore can be made in /dev/shm ({error})" in ended.err
    source = read_source_table(tmp_path / "images/pictures.parquet")
    stored = ImageReader(tmp_path / "images/pictures.h5").read(source.table["row"].to_numpy())
    assert len(stored) == 96
    for row, file in enumerate(source.table["file"]):
        assert (stored[row] == read_square(pictures / file, PixelSettings(32))).all()
    assert (
        f"no semaphore can be made in /dev/shm ({error})" in json.loads(cxrlt("check", "--json").out)["shared memory"]["found"]
    )


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(100_000_000_000)  # sparse: it takes no space


def _deflated_dicom_cut_short(path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4095, (64, 64), np.uint16)
    dataset = pydicom.dcmread(write_dicom(path, values, 12))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    path.write_bytes(path.read_bytes()[:-2000])


def _folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "reason"),
    [(_huge, "100.0 GB are too many"), (_deflated_dicom_cut_short, "DICOM|decoded"), (_folder, "not a file")],
)
def test_one_hostile_image_does_not_end_the_work_on_the_others(
    make: Callable[[Path], None], reason: str, cxrlt: Run, pictures: Path, tmp_path: Path
) -> None:
    make(pictures / "pictures/0003.png")
    ended = cxrlt(*_cache(pictures))
    assert ended.code == 0, ended.err
    assert "95 images of 32 px" in ended.err
    (row,) = read_failures(tmp_path / "images/pictures.failed.csv")
    assert row[0] == "i0003"
    assert re.search(reason, row[2])


def test_whatever_a_decoder_raises_is_the_reason_of_that_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.png").write_bytes(b"x")
    for error in (MemoryError(), zlib.error("invalid stored block lengths"), RecursionError("too deep"), AssertionError("odd")):

        def failing(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("cxrlt_cli.preprocess.settings.read_picture", failing)
        with pytest.raises(UnreadableImageError, match="cannot be decoded: "):
            read_square(tmp_path / "x.png", PixelSettings(32))
    monkeypatch.undo()
    with pytest.raises(UnreadableImageError, match="null byte"):
        read_square(Path(f"{tmp_path}/a\0b.png"), PixelSettings(32))
