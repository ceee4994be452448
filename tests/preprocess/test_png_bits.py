"""Values in the low bits of a 16-bit PNG, and palettes: what is right for each."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrlt_cli.preprocess.gray_levels import to_8_bit
from cxrlt_cli.preprocess.png import significant_bits
from cxrlt_cli.preprocess.read_gray import read_picture
from cxrlt_cli.preprocess.remarks import Remark, UnreadableImageError
from cxrlt_cli.preprocess.settings import PixelSettings, make_square

GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
SHOWN = np.tile(np.arange(256), (4, 1))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(path: Path, values: np.ndarray, colours: int, bits: int = 16, more: tuple[tuple[bytes, bytes], ...] = ()) -> Path:
    """A PNG of (H, W) or (H, W, C) values with more chunks before its pixels."""
    lines = values.astype(">u2" if bits == 16 else np.uint8).reshape(len(values), -1)
    packed = zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines))
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, colours, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", packed), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))
    return path


def _of_bits(bits: int) -> np.ndarray:
    """A ramp over all gray levels, in the lowest `bits`."""
    return np.rint(SHOWN * ((2**bits - 1) / 255)).astype(np.uint16)


def _channels(values: np.ndarray, colours: int, opaque: int) -> np.ndarray:
    alpha = [np.full_like(values, opaque)] if colours in (GRAY_ALPHA, RGB_ALPHA) else []
    return np.stack([values] * (3 if colours in (RGB, RGB_ALPHA) else 1) + alpha, axis=2)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 15])
@pytest.mark.parametrize("colours", [GRAY, RGB, GRAY_ALPHA, RGB_ALPHA])
def test_low_bits_are_scaled_where_sbit_says_how_many_they_are(bits: int, colours: int, tmp_path: Path) -> None:
    values = _channels(_of_bits(bits), colours, 2**bits - 1)
    path = _png(tmp_path / "x.png", values, colours, more=((b"sBIT", bytes([bits] * values.shape[2])),))
    assert significant_bits(path.read_bytes()) == (bits,) * values.shape[2]
    found = read_picture(path)
    assert np.abs(to_8_bit(found.values) - SHOWN).max() <= 1
    assert not found.remarks


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("colours", [GRAY, RGB])
def test_without_sbit_low_bits_are_remarked_on_once_and_a_window_spreads_them(bits: int, colours: int, tmp_path: Path) -> None:
    path = _png(tmp_path / "x.png", _channels(_of_bits(bits), colours, 0), colours)
    dark = make_square(path, PixelSettings(256, "stretch"))
    assert dark.remarks == (Remark.NARROW_16_BIT,)
    assert dark.pixels.max() == round((2**bits - 1) / 257)
    spread = make_square(path, PixelSettings(256, "stretch", window="0,100"))
    assert not spread.remarks
    assert np.abs(spread.pixels - SHOWN[0]).max() <= 1


@pytest.mark.parametrize("sbit", [b"\x0c", b"", b"\0", b"\x10", b"\x20", b"\x0c\x0c"])
@pytest.mark.parametrize("shift", [4, 0])
def test_values_that_exceed_sbit_stay_as_they_are(sbit: bytes, shift: int, tmp_path: Path) -> None:
    """The standard's own use of sBIT: the bits that count are the highest. 0, 16 and more say nothing."""
    values = (_of_bits(12) << 4) >> (4 - shift) << (4 - shift)
    found = read_picture(_png(tmp_path / "x.png", values, GRAY, more=((b"sBIT", sbit),) if sbit else ()))
    assert (found.values == values).all()
    assert not found.remarks


def test_sixteen_bit_colours_that_use_high_bits_are_read_as_before(tmp_path: Path) -> None:
    values = _channels(_of_bits(16), RGB, 0)
    with Image.open(_png(tmp_path / "x.png", values, RGB)) as image:
        assert (read_picture(tmp_path / "x.png").values == np.asarray(image.convert("L"))).all()


def test_low_colours_are_luma_and_lie_over_black(tmp_path: Path) -> None:
    red = np.zeros((2, 2, 4), np.uint16)
    red[:, :, 0], red[0, :, 3], red[1, :, 3] = 4000, 65535, 32768
    found = read_picture(_png(tmp_path / "x.png", red, RGB_ALPHA)).values
    assert found.tolist() == [[1196, 1196], [598, 598]]  # 0.299 * 4000, and half of it


def test_low_bits_are_turned_upright_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated by 90 degrees clockwise
    values = np.zeros((4, 9, 3), np.uint16)
    values[0] = 4000
    path = _png(tmp_path / "x.png", values, RGB, more=((b"eXIf", exif.tobytes()[6:]),))
    found = read_picture(path).values
    assert found.shape == (9, 4)
    assert (found[:, -1] == 4000).all()


def test_values_that_all_become_black_are_unreadable_with_the_option_that_helps(tmp_path: Path) -> None:
    path = _png(tmp_path / "x.png", np.array([[0, 1], [50, 120]]), GRAY)
    with pytest.raises(UnreadableImageError, match=r"4 gray levels all become 0: cxrlt cache --window 0,100 spreads"):
        make_square(path, PixelSettings(8))
    assert make_square(path, PixelSettings(8, window="0,100")).pixels.max() == 255


def test_percentiles_that_leave_one_value_are_unreadable(tmp_path: Path) -> None:
    picture = np.full((40, 40), 100, np.uint8)
    picture[0, 0] = 0
    Image.fromarray(picture).save(tmp_path / "x.png")
    with pytest.raises(UnreadableImageError, match="2 gray levels all become 0: --window 1,99 leaves no other"):
        make_square(tmp_path / "x.png", PixelSettings(8, window="1,99"))
    assert make_square(tmp_path / "x.png", PixelSettings(8)).pixels.max() == 100


@pytest.mark.parametrize("more", [(), ((b"PLTE", bytes(range(30)) * 3),)])
def test_a_palette_that_lacks_colours_is_damaged(more: tuple[tuple[bytes, bytes], ...], tmp_path: Path) -> None:
    path = _png(tmp_path / "x.png", SHOWN, PALETTE, 8, more)
    with pytest.raises(UnreadableImageError, match="damaged: colour"):
        read_picture(path)
    whole = ((b"PLTE", bytes(np.repeat(np.arange(256), 3).tolist())),)
    assert (read_picture(_png(path, SHOWN, PALETTE, 8, whole)).values == SHOWN).all()


def test_a_picture_that_is_constant_where_the_file_is_not_is_unreadable(tmp_path: Path) -> None:
    black = ((b"PLTE", bytes(768)),)
    with pytest.raises(UnreadableImageError, match="all its gray values become 0"):
        read_picture(_png(tmp_path / "x.png", SHOWN, PALETTE, 8, black))
    clear = np.dstack([SHOWN, np.zeros_like(SHOWN)])
    with pytest.raises(UnreadableImageError, match="all its gray values become 0"):
        read_picture(_png(tmp_path / "x.png", clear, GRAY_ALPHA, 8))
    for blank in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 4), 9, np.uint8)):
        Image.fromarray(blank).save(tmp_path / "blank.png")
        assert np.ptp(read_picture(tmp_path / "blank.png").values) == 0


def test_the_four_real_files_come_out_alike_or_are_remarked_on(real_data: Path) -> None:
    folder, settings = real_data / "odd/png16", PixelSettings(64)
    full = make_square(folder / "full16.png", settings).pixels.astype(int)
    for name in ("low12_sbit", "left12_sbit"):
        square = make_square(folder / f"{name}.png", settings)
        assert np.abs(square.pixels - full).max() <= 2
        assert not square.remarks
    assert make_square(folder / "low12.png", settings).remarks == (Remark.NARROW_16_BIT,)
    spread = [make_square(folder / f"{name}.png", PixelSettings(64, window="0,100")) for name in ("low12", "full16")]
    assert np.abs(spread[0].pixels.astype(int) - spread[1].pixels).max() <= 2
    assert not spread[0].remarks
