"""DICOM: a table of cases, each worked by hand, is the specification."""

import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
import pytest
from dicom_files import lut, write_dicom
from pydicom.uid import ExplicitVRLittleEndian

from cxrlt_cli.errors import UserError
from cxrlt_cli.preprocess.gray_levels import to_8_bit
from cxrlt_cli.preprocess.read_gray import read_gray
from cxrlt_cli.preprocess.remarks import UnreadableImageError
from cxrlt_cli.preprocess.settings import PixelSettings, read_square

U8 = np.array([[0, 64], [128, 255]], np.uint8)
U12 = np.array([[1000, 1500], [2000, 3000]], np.uint16)
S16 = np.array([[-1000, 0], [500, 1000]], np.int16)
WINDOW = {"WindowCenter": 2000, "WindowWidth": 2000}
#: name -> (stored values, bits stored, tags, gray values)
CASES: dict[str, tuple[np.ndarray, int, dict[str, Any], list[int]]] = {
    "8 bit: the range of the type": (U8, 8, {}, [0, 64, 128, 255]),
    "8 bit, dark picture stays dark": (U8 // 2, 8, {}, [0, 32, 64, 127]),
    "8 bit MONOCHROME1": (U8, 8, {"PhotometricInterpretation": "MONOCHROME1"}, [255, 191, 127, 0]),
    "presentation LUT shape INVERSE": (U8, 8, {"PresentationLUTShape": "INVERSE"}, [255, 191, 127, 0]),
    "both are one inversion": (
        U8, 8, {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}, [255, 191, 127, 0]
    ),
    "10 bit: its own lowest and highest": (np.array([[100, 200], [300, 500]], np.uint16), 10, {}, [0, 64, 128, 255]),
    "12 bit: its own lowest and highest": (U12, 12, {}, [0, 64, 128, 255]),
    "16 bit": (U12 * 20, 16, {}, [0, 64, 128, 255]),
    "16 bit signed": (S16, 16, {}, [0, 128, 191, 255]),
    "rescaled by a negative slope": (U12, 12, {"RescaleSlope": -1, "RescaleIntercept": 4000}, [255, 191, 128, 0]),
    # centre 2000, width 2000: 1000 is black (a half below), 3000 white; y = (x - 1999.5) / 1999 + 0.5
    "window": (U12, 12, WINDOW, [0, 64, 128, 255]),
    "window beyond the picture": (U12, 12, {"WindowCenter": 3000, "WindowWidth": 2001}, [0, 0, 0, 128]),
    "window, linear exact": (U12, 12, {**WINDOW, "VOILUTFunction": "LINEAR_EXACT"}, [0, 64, 128, 255]),
    # 1 / (1 + exp(-4 (x - 2000) / 2000)): exp(2), exp(1), 1, exp(-2)
    "window, sigmoid": (U12, 12, {**WINDOW, "VOILUTFunction": "SIGMOID"}, [30, 69, 128, 225]),
    "of several windows the first": (U12, 12, {"WindowCenter": [2000, 100], "WindowWidth": [2000, 10]}, [0, 64, 128, 255]),
    # MONOCHROME1 is turned round after the window: before it, 1000 and 3000 would change places about 2047.5, not 2000
    "window, then MONOCHROME1": (
        U12, 12, {"WindowCenter": 1500, "WindowWidth": 1000, "PhotometricInterpretation": "MONOCHROME1"}, [255, 127, 0, 0]
    ),
    "window after rescaling": (
        U12, 12, {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 3000, "WindowWidth": 4000}, [0, 64, 128, 255]
    ),
    "VOI LUT of 8 bit": (
        np.array([[0, 1], [2, 9]], np.uint16), 12, {"VOILUTSequence": lut(0, [10, 100, 200, 255], 8)}, [10, 100, 200, 255]
    ),
    "padding does not count": (
        np.array([[0, 1000], [2000, 3000]], np.uint16), 12, {"PixelPaddingValue": 0}, [0, 0, 128, 255]
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_gray_values(case: str, tmp_path: Path) -> None:
    pixels, bits, tags, expected = CASES[case]
    found = to_8_bit(read_gray(write_dicom(tmp_path / "x.dcm", pixels, bits, **tags)))
    assert np.abs(found.ravel().astype(int) - expected).max() <= 1, found


SYNTAXES = {
    "RLE": gdcm.TransferSyntax.RLELossless,
    "JPEG lossless, first-order": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    "JPEG lossless": gdcm.TransferSyntax.JPEGLosslessProcess14,
    "JPEG-LS": gdcm.TransferSyntax.JPEGLSLossless,
    "JPEG 2000": gdcm.TransferSyntax.JPEG2000Lossless,
    "deflated": gdcm.TransferSyntax.DeflatedExplicitVRLittleEndian,
    "big endian": gdcm.TransferSyntax.ExplicitVRBigEndian,
}


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_compressed_files_give_what_plain_ones_do(syntax: str, bits: int, tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    smooth = np.add.outer(np.arange(48), np.arange(40)) / 88 * (2**bits - 40) + draws.integers(0, 30, (48, 40))
    plain = write_dicom(tmp_path / "plain.dcm", smooth.astype(np.uint8 if bits == 8 else np.uint16), bits)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(plain))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(SYNTAXES[syntax]))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(tmp_path / "compressed.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    uid = pydicom.dcmread(tmp_path / "compressed.dcm", stop_before_pixels=True).file_meta.TransferSyntaxUID
    assert uid != ExplicitVRLittleEndian
    assert (read_gray(tmp_path / "compressed.dcm") == read_gray(plain)).all()


def _deflated(path: Path, content: bytes = b"") -> Path:
    """A DICOM file, deflated from its first element after group 2 on; `content` replaces what is deflated."""
    plain = write_dicom(path, U12, 12).read_bytes()
    end = plain.index(b"\x08\0\x16\0UI")
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    head = plain[:end].replace(b"UI\x14\0" + b"1.2.840.10008.1.2.1\0", b"UI\x16\0" + b"1.2.840.10008.1.2.1.99")
    path.write_bytes(head + stream.compress(content or plain[end:]) + stream.flush())
    return path


def test_a_deflated_file_inflates_to_a_limit_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _deflated(tmp_path / "x.dcm")
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == pydicom.uid.DeflatedExplicitVRLittleEndian
    assert (read_gray(path) == read_gray(write_dicom(tmp_path / "plain.dcm", U12, 12))).all()
    monkeypatch.setattr("cxrlt_cli.preprocess.dicom._MOST_INFLATED", 1 << 20)
    bomb = _deflated(tmp_path / "bomb.dcm", bytes(32 << 20))
    assert bomb.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(UnreadableImageError, match="inflates to more than 1 MiB"):
        read_gray(bomb)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 8 << 20


@pytest.mark.parametrize("harm", ["cut", "noise"])
def test_a_damaged_deflated_file(harm: str, tmp_path: Path) -> None:
    content = _deflated(tmp_path / "x.dcm").read_bytes()
    (tmp_path / "x.dcm").write_bytes(content[:-9] if harm == "cut" else content[:-60] + b"\xff" * 60)
    with pytest.raises(UnreadableImageError, match="DICOM: "):
        read_gray(tmp_path / "x.dcm")


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"NumberOfFrames": 2}, "2 frames"),
        ({"Rows": 0}, "none"),
        ({"Rows": 65535, "Columns": 65535}, "too many"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour"),
        ({"Rows": 200}, "DICOM: "),
    ],
)
def test_what_cannot_be_read_says_why(tags: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match=reason):
        read_gray(write_dicom(tmp_path / "x.dcm", U12, 12, **tags))


def test_without_pixels_or_cut_short(tmp_path: Path) -> None:
    whole = write_dicom(tmp_path / "x.dcm", U12, 12)
    content = whole.read_bytes()
    (tmp_path / "cut.dcm").write_bytes(content[:-4])
    with pytest.raises(UnreadableImageError, match="DICOM"):
        read_gray(tmp_path / "cut.dcm")
    dataset = pydicom.dcmread(whole)
    del dataset.PixelData
    dataset.save_as(tmp_path / "none.dcm")
    with pytest.raises(UnreadableImageError, match="without pixels"):
        read_gray(tmp_path / "none.dcm")


@pytest.mark.parametrize("length", range(132, 600, 52))
def test_any_cut_and_any_garbage_is_a_reason_and_never_a_crash(length: int, tmp_path: Path) -> None:
    content = write_dicom(tmp_path / "x.dcm", U12, 12).read_bytes()
    noise = np.random.default_rng(length).integers(0, 256, 64, np.uint8).tobytes()
    (tmp_path / "x.dcm").write_bytes(content[:length] + noise)
    with pytest.raises(UnreadableImageError):
        read_gray(tmp_path / "x.dcm")


def test_gray_colour_is_gray_and_colour_is_refused(tmp_path: Path) -> None:
    tags = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    gray = np.repeat(U8[:, :, None], 3, axis=2)
    assert (read_gray(write_dicom(tmp_path / "x.dcm", gray, 8, **tags)) == U8).all()
    gray[0, 0, 1] = 90
    with pytest.raises(UnreadableImageError, match="colour"):
        read_gray(write_dicom(tmp_path / "x.dcm", gray, 8, **tags))


def test_without_pydicom_the_pip_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from cxrlt_cli.preprocess import dicom

    path = write_dicom(tmp_path / "x.dcm", U12, 12)
    dicom._pydicom.cache_clear()
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UserError, match="need pydicom") as caught:
        read_gray(path)
    assert "pip install 'cxrlt[dicom]'" in caught.value.hint
    dicom._pydicom.cache_clear()


def test_the_real_files_are_each_others_negative(real_data: Path) -> None:
    """One is the other with MONOCHROME1 written into its header."""
    plain, inverted = (read_square(path, PixelSettings(224)) for path in sorted((real_data / "dicom").glob("*.dcm")))
    assert np.abs(plain.astype(int) + inverted - 255).max() <= 1
