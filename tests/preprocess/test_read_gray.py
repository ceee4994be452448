"""The gray values of a file: a table of cases is the specification."""

import io
import os
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from cxrlt_cli.preprocess.gray_levels import to_8_bit
from cxrlt_cli.preprocess.jpeg import undecodable_kind
from cxrlt_cli.preprocess.read_gray import read_gray
from cxrlt_cli.preprocess.remarks import UnreadableImageError

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def _rgba(alpha: int) -> Image.Image:
    return Image.fromarray(np.dstack([RAMP, RAMP, RAMP, np.full_like(RAMP, alpha)]))


def _palette() -> Image.Image:
    image = Image.new("P", (16, 16))
    image.putdata(list(range(255, -1, -1)))
    image.putpalette([value for index in range(256) for value in [255 - index] * 3])  # index i shows as gray 255 - i
    return image


CASES = {
    "L": (lambda: Image.fromarray(RAMP), RAMP),
    "RGB gray": (lambda: Image.fromarray(np.dstack([RAMP] * 3)), RAMP),
    "RGBA opaque": (lambda: _rgba(255), RAMP),
    "RGBA half transparent lies over black": (lambda: _rgba(128), np.rint(RAMP * (128 / 255)).astype(np.uint8)),
    "LA": (lambda: Image.merge("LA", [Image.fromarray(RAMP), Image.new("L", (16, 16), 255)]), RAMP),
    "P": (_palette, RAMP),
    "1": (lambda: Image.fromarray(RAMP > 127), np.where(RAMP > 127, 255, 0)),
    "16 bit, whole range": (lambda: Image.fromarray(RAMP.astype(np.uint16) * 257), RAMP),
    "16 bit, rounded": (lambda: Image.fromarray(np.full((16, 16), 128, np.uint16)), np.zeros((16, 16))),
    "16 bit, rounded up": (lambda: Image.fromarray(np.full((16, 16), 129, np.uint16)), np.ones((16, 16))),
    "colour by luma": (lambda: Image.new("RGB", (16, 16), (255, 0, 0)), np.full((16, 16), 76)),  # 0.299 * 255
}


@pytest.mark.parametrize("case", CASES)
def test_gray_values_of_a_png(case: str, tmp_path: Path) -> None:
    make, expected = CASES[case]
    make().save(tmp_path / "image.png")
    found = read_gray(tmp_path / "image.png")
    assert np.abs(to_8_bit(found).astype(int) - expected).max() <= (1 if "half" in case else 0)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_of_any_mode_keeps_its_gray(mode: str, tmp_path: Path) -> None:
    smooth = np.tile(np.linspace(20, 230, 64), (64, 1)).astype(np.uint8)
    Image.fromarray(smooth).convert(mode).save(tmp_path / "image.jpg", quality=95)
    found = np.asarray(read_gray(tmp_path / "image.jpg")).astype(int)
    assert np.abs(found - smooth).max() <= 3


def _turned(mode: str, path: Path, how: str) -> None:
    """Bright above, with the note that it is to be shown rotated by 90 degrees clockwise."""
    picture = np.zeros((40, 60), np.uint8)
    picture[:10] = 250
    exif, more, xmp = Image.Exif(), PngImagePlugin.PngInfo(), '<x:xmpmeta tiff:Orientation="6"></x:xmpmeta>'
    exif[0x0112] = 6
    more.add_itxt("XML:com.adobe.xmp", xmp)
    said = {"exif": exif} if how == "exif" else {"pnginfo": more} if path.suffix == ".png" else {"xmp": xmp.encode()}
    Image.fromarray(picture).convert(mode).save(path, quality=95, **said)


@pytest.mark.parametrize("how", ["exif", "xmp"])
@pytest.mark.parametrize("name", ["image.jpg", "image.png"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_orientation_is_applied(mode: str, name: str, how: str, tmp_path: Path) -> None:
    _turned(mode, tmp_path / name, how)
    found = np.asarray(read_gray(tmp_path / name))
    assert found.shape == (60, 40)
    assert found[:, -8:].mean() > 200
    assert found[:, :20].mean() < 50


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "I;16"])
def test_a_png_with_a_changed_byte_is_never_black_below(mode: str, tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(20, 230, 300), (200, 1))
    picture = Image.fromarray(ramp.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(ramp.astype(np.uint8))
    (picture if mode == "I;16" else picture.convert(mode)).save(tmp_path / "image.png")
    content = bytearray((tmp_path / "image.png").read_bytes())
    content[content.index(b"IDAT") + 40] ^= 255
    (tmp_path / "image.png").write_bytes(content)
    with pytest.raises(UnreadableImageError, match="checksum of IDAT is wrong"):
        read_gray(tmp_path / "image.png")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize(("colours", "bits", "channels"), [(0, 8, 1), (2, 8, 3), (0, 16, 2), (3, 8, 1), (6, 8, 4)])
def test_a_png_whose_pixels_end_early_is_never_black_below(colours: int, bits: int, channels: int, tmp_path: Path) -> None:
    """All checksums are right: it was written so."""
    header = struct.pack(">IIBBBBB", 64, 64, bits, colours, 0, 0, 0)
    line = b"\0" + bytes([200]) * (64 * channels)
    palette = _chunk(b"PLTE", bytes(range(256)) * 3) if colours == 3 else b""
    for lines in (64, 40):
        packed = _chunk(b"IDAT", zlib.compress(line * lines))
        content = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + palette + packed + _chunk(b"IEND", b"")
        (tmp_path / f"{lines}.png").write_bytes(content)
    assert read_gray(tmp_path / "64.png")[-1].min() > 50
    with pytest.raises(UnreadableImageError, match="bytes of pixels instead of"):
        read_gray(tmp_path / "40.png")


def test_a_jpeg_that_lacks_pixels_inside_is_not_filled_up(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200), np.uint8)).save(tmp_path / "image.jpg")
    content = (tmp_path / "image.jpg").read_bytes()
    (tmp_path / "image.jpg").write_bytes(content[: len(content) // 2] + content[-2:])  # the end mark is there
    with pytest.raises(UnreadableImageError, match="premature end of data"):
        read_gray(tmp_path / "image.jpg")


def _whole_png() -> bytes:
    import io

    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"hello, world", "neither PNG, JPEG nor DICOM"),
        (_whole_png()[:1000], "truncated"),
        (_whole_png()[:-30], "truncated"),
    ],
)
def test_what_cannot_be_read_says_why(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(content)
    with pytest.raises(UnreadableImageError, match=reason):
        read_gray(tmp_path / "image.png")


def test_a_truncated_jpeg_is_not_filled_up_with_gray(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200), np.uint8)
    Image.fromarray(noise).save(tmp_path / "image.jpg")
    content = (tmp_path / "image.jpg").read_bytes()
    (tmp_path / "image.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableImageError, match="truncated"):
        read_gray(tmp_path / "image.jpg")


def test_a_missing_file_is_named_as_missing(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="missing"):
        read_gray(tmp_path / "image.png")


def test_other_formats_are_refused_whatever_their_name(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "image.bmp")
    (tmp_path / "image.bmp").rename(tmp_path / "image.png")
    with pytest.raises(UnreadableImageError, match="neither PNG, JPEG nor DICOM"):
        read_gray(tmp_path / "image.png")


def _jpeg(marker: int, bits: int) -> bytes:
    """A JPEG with the marker and the precision of another kind."""
    stream = io.BytesIO()
    Image.fromarray(RAMP).save(stream, "JPEG")
    content = bytearray(stream.getvalue())
    frame = content.index(b"\xff\xc0")
    content[frame + 1], content[frame + 4] = marker, bits
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_jpeg(0xC1, 12), "JPEG of 12 bit, which no decoder here reads"),
        (_jpeg(0xC2, 12), "JPEG of 12 bit, which no decoder here reads"),
        (_jpeg(0xC3, 8), "lossless JPEG of 8 bit, which no decoder here reads"),
        (_jpeg(0xC3, 16), "lossless JPEG of 16 bit, which no decoder here reads"),
        (_jpeg(0xF7, 8), "JPEG-LS, which no decoder here reads"),
        (b"\xff\xd8\xff\xe0\0\x04ab", "damaged: JPEG without a frame"),
        (b"II*\0" + b"\0" * 40, "but TIFF"),
        (b"RIFF1234WEBPVP8 ", "but WebP"),
        (b"\0\0\0\x0cjP  \r\n", "but JPEG 2000"),
        (b"version https://git-lfs.github.com/spec/v1\n", "but a Git LFS pointer"),
        (b"<!DOCTYPE html><title>403", "but a web page, as a failed download leaves it"),
        (b"\x1f\x8b\x08\0", "but gzip"),
    ],
)
def test_what_a_file_is_instead_is_named(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(content)
    with pytest.raises(UnreadableImageError, match=re.escape(reason)):
        read_gray(tmp_path / "image.png")


def test_an_ordinary_jpeg_is_of_no_other_kind() -> None:
    assert undecodable_kind(_jpeg(0xC0, 8)) == undecodable_kind(_jpeg(0xC2, 8)) == ""


def test_real_radiographs_of_every_mode_are_read(real_data: Path) -> None:
    files = [
        *sorted((real_data / "radiographs").glob("*.*")),
        *sorted((real_data / "chestxray14-1024/images").glob("*.png"))[:8],
    ]
    pictures = [path for path in files if path.suffix.lower() in (".png", ".jpg", ".jpeg")]
    assert len(pictures) >= 40
    for path in pictures:
        with Image.open(path) as image:
            shape = image.size
        gray = read_gray(path)
        assert gray.shape in (shape, shape[::-1])
        assert gray.std() > 10, f"{path.name} has no contrast"


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "image.png")
    with pytest.raises(UnreadableImageError, match="not a file"):
        read_gray(tmp_path / "image.png")
