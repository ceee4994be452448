"""Image files as users bring them. Where no image can be read, `cache` ends in one message; beside others, each is listed."""

import csv
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bad_input import Bad, Content, Run, bring
from dicom_files import write_dicom
from PIL import Image

GRAY = np.add.outer(np.arange(24), np.arange(24)).astype(np.uint8) * 5


def encoded(format: str, picture: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (picture or Image.fromarray(GRAY)).save(buffer, format, **options)
    return buffer.getvalue()


PNG, JPEG = encoded("PNG"), encoded("JPEG")


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, bits: int = 8, colours: int = 0, pixels: bytes = b"") -> bytes:
    """A PNG of a header, compressed bytes and an end, true or not."""
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def dicom(pixels: np.ndarray = GRAY, bits: int = 8, end: float = 1.0, **tags: object) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        write_dicom(path, pixels, bits, **tags)
        path.write_bytes(path.read_bytes()[: int(end * path.stat().st_size)])

    return make


def without(*tags: str) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        import pydicom

        write_dicom(path, GRAY, 8)
        dataset = pydicom.dcmread(path)
        for tag in tags:
            delattr(dataset, tag)
        dataset.save_as(path)

    return make


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 << 30)


COLOURS = np.dstack([GRAY, GRAY[::-1], GRAY.T[::-1]])
BAD: dict[str, tuple[str, Content, str]] = {
    "empty": ("x.png", b"", "empty"),
    "empty DICOM": ("x.dcm", b"", "empty"),
    "text": ("x.png", "no picture", "neither PNG"),
    "noise": ("x.jpg", bytes(range(256)) * 9, "neither PNG"),
    "a folder": ("x.png", None, "not a file"),
    "a pipe": ("x.png", os.mkfifo, "not a file"),
    "a hundred gigabytes": ("x.png", sparse, "are too many"),
    "PNG cut to its mark": ("x.png", PNG[:8], "x.png"),
    "PNG cut in its header": ("x.png", PNG[:20], "x.png"),
    "PNG cut in the middle": ("x.png", PNG[: len(PNG) // 2], "x.png"),
    "PNG of another checksum": ("x.png", PNG.replace(b"IDAT", b"IDBT"), "x.png"),
    "PNG without pixels": ("x.png", png(24, 24), "x.png"),
    "PNG of 0 x 0": ("x.png", png(0, 0), "x.png"),
    "PNG of 0 x 24": ("x.png", png(0, 24), "x.png"),
    "PNG of 3 bit": ("x.png", png(24, 24, 3, pixels=bytes(240)), "x.png"),
    "PNG of an unknown colour type": ("x.png", png(24, 24, 8, 5, bytes(600)), "x.png"),
    "PNG of a palette without colours": ("x.png", png(24, 24, 8, 3, bytes(25 * 24)), "x.png"),
    "a decompression bomb": ("x.png", png(60_000, 60_000, 1, 0, bytes(1000)), "x.png"),
    "a bomb of one row": ("x.png", png(2_000_000_000, 1, pixels=bytes(1000)), "x.png"),
    "JPEG cut to its mark": ("x.jpg", JPEG[:2], "x.jpg"),
    "JPEG cut in the middle": ("x.jpg", JPEG[: len(JPEG) // 2], "x.jpg"),
    "JPEG of 0 x 24": ("x.jpg", JPEG.replace(b"\0\x18\0\x18", b"\0\0\0\x18"), "x.jpg"),
    "JPEG without tables": ("x.jpg", JPEG.replace(b"\xff\xdb", b"\xff\xfe"), "x.jpg"),
    "JPEG of 12 bit": ("x.jpg", JPEG.replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc1\0\x0b\x0c"), "x.jpg"),
    "TIFF": ("x.png", encoded("TIFF"), "TIFF"),
    "BMP": ("x.jpg", encoded("BMP"), "BMP"),
    "GIF, animated": ("x.png", encoded("GIF", save_all=True, append_images=[Image.fromarray(GRAY.T)]), "GIF"),
    "WebP": ("x.jpg", encoded("WEBP"), "WebP"),
    "JPEG 2000": ("x.jpg", encoded("JPEG2000"), "JPEG 2000"),
    "PGM": ("x.png", encoded("PPM"), "PGM"),
    "PDF": ("x.png", encoded("PDF"), "PDF"),
    "a web page": ("x.jpg", "<!DOCTYPE html><html></html>", "web page"),
    "a Git LFS pointer": ("x.png", "version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    "a zipped picture": ("x.png", b"\x1f\x8b\x08" + zlib.compress(PNG), "gzip"),
    "DICOM without pixels": ("x.dcm", without("PixelData"), "without pixels"),
    "DICOM cut in its header": ("x.dcm", dicom(end=0.3), "x.dcm"),
    "DICOM cut in its pixels": ("x.dcm", dicom(end=0.9), "x.dcm"),
    "DICOM of 0 rows": ("x.dcm", dicom(Rows=0), "are none"),
    "DICOM without its size": ("x.dcm", without("Rows"), "x.dcm"),
    "DICOM without its bits": ("x.dcm", without("BitsAllocated"), "x.dcm"),
    "DICOM without its photometry": ("x.dcm", without("PhotometricInterpretation"), "x.dcm"),
    "DICOM of more rows than pixels": ("x.dcm", dicom(Rows=2000), "x.dcm"),
    "DICOM of 60,000 x 60,000": ("x.dcm", dicom(Rows=60_000, Columns=60_000), "too many"),
    "DICOM of several frames": ("x.dcm", dicom(np.stack([GRAY] * 3), NumberOfFrames=3), "3 frames"),
    "DICOM in colour": ("x.dcm", dicom(COLOURS, SamplesPerPixel=3, PlanarConfiguration=0, PhotometricInterpretation="RGB"),
          "colour"),
    "DICOM with a slope that is no number": ("x.dcm", dicom(RescaleSlope="NaN", RescaleIntercept="0"), "x.dcm"),
    "DICOM with a slope beyond all numbers": ("x.dcm", dicom(RescaleSlope="1e400", RescaleIntercept="0"), "x.dcm"),
    "DICOM with a slope of 0": ("x.dcm", dicom(RescaleSlope="0", RescaleIntercept="5"), "x.dcm"),
    "DICOM of an unknown syntax": ("x.dcm", lambda path: path.write_bytes(
        b"\0" * 128 + b"DICM\2\0\0\0UL\4\0\x1c\0\0\0\2\0\x10\0UI\x14\0" + b"1.2.840.10008.9.9.9\0"), "x.dcm"),
    "DICOM of its mark alone": ("x.dcm", b"\0" * 128 + b"DICM", "x.dcm"),
    "DICOM without its preamble": ("x.dcm", b"\x08\0\x05\0CS\n\0ISO_IR 100", "without its preamble"),
}  # fmt: skip


def alone(name: str) -> Bad:
    file, content, says = BAD[name]
    typed = "cache --source table=labels.csv --label-columns Mass --size 16 --name bad"
    says = "none of the 1 images can be read" if says == file else says
    return Bad(name, typed, says, {"labels.csv": f"image_id,patient_id,Mass\n{file},p,1\n", file: content})


@pytest.mark.parametrize("name", BAD)
def test_alone_it_is_refused_in_one_message(name: str, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    alone(name).check(cxrlt, tmp_path, golden)


def test_beside_a_good_one_each_is_listed_with_its_reason(cxrlt: Run, tmp_path: Path) -> None:
    rows = ["good.png,p0,1"]
    (tmp_path / "good.png").write_bytes(PNG)
    for number, (file, content, _) in enumerate(BAD.values()):
        name = f"{number}{Path(file).suffix}"
        bring(tmp_path / name, content)
        rows.append(f"{name},p{number + 1},0")
    (tmp_path / "labels.csv").write_text("\n".join(["image_id,patient_id,Mass", *rows]))
    ended = cxrlt("cache", "--source", "table=labels.csv", "--label-columns", "Mass", "--size", "16", "--workers", "2")
    assert ended.code == 0
    assert f"warning: {len(BAD)} images cannot be read" in ended.err
    with (tmp_path / "images/labels.failed.csv").open(newline="") as file:
        failed = {row["image_id"]: row["reason"] for row in csv.DictReader(file)}
    assert list(failed) == [row.partition(",")[0] for row in rows[1:]]
    for (_, _, says), reason in zip(BAD.values(), failed.values(), strict=True):
        assert reason.isprintable()
        assert says in reason or says.startswith("x."), reason


@pytest.mark.parametrize("name", ["empty", "PNG cut in the middle", "TIFF", "DICOM without pixels", "a decompression bomb"])
def test_predict_has_no_scores_of_it(name: str, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    file, content, _ = BAD[name]
    bad = Bad(name, "predict whole --images folder --device cpu", "none of the 1 images", {f"folder/{file}": content})
    bad.check(cxrlt, tmp_path, golden)
