"""DICOM headers that are odd or wrong: what is right for each, worked by hand or by pydicom in float64."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_files import lut, write_dicom
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut, apply_windowing
from pydicom.sequence import Sequence

from cxrlt_cli.preprocess.dicom import read_dicom
from cxrlt_cli.preprocess.gray_levels import to_8_bit
from cxrlt_cli.preprocess.read_gray import read_gray
from cxrlt_cli.preprocess.remarks import Remark, UnreadableImageError
from cxrlt_cli.preprocess.settings import PixelSettings, make_square

RAMP = np.linspace(0, 4095, 64).round().astype(np.uint16)
RAMP = np.tile(RAMP, (64, 1))
SHOWN = RAMP[0] * (255 / 4095)


def test_a_negative_slope_with_a_window_by_hand(tmp_path: Path) -> None:
    """Rescaled: 4095, 3095, 2095, 0. The window is ((x - 2047.5) / 4095 + 0.5) * 65535."""
    tags = {"RescaleSlope": -1, "RescaleIntercept": 4095, "WindowCenter": 2048, "WindowWidth": 4096}
    path = write_dicom(tmp_path / "x.dcm", np.array([[0, 1000], [2000, 4095]], np.uint16), 12, **tags)
    assert read_gray(path).ravel().tolist() == [65535, 49531, 33528, 0]


def test_a_negative_slope_of_8_bit_by_hand(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "x.dcm", np.array([[0, 50, 255]], np.uint8), 8, RescaleSlope=-1, RescaleIntercept=255)
    assert read_gray(path).ravel().tolist() == [255, 205, 0]


def _rescaling(draws: np.random.Generator) -> dict[str, Any]:
    slope = draws.choice([1, -1, 2, -2, 0.5, -0.25, 0.0123, -3.7, -1e5])
    return {"RescaleSlope": repr(float(slope)), "RescaleIntercept": repr(float(draws.choice([0, -1024, 4095, 0.5, -7.25])))}


def _window(draws: np.random.Generator, values: np.ndarray) -> dict[str, Any]:
    width = max(float(np.ptp(values) * draws.uniform(0.2, 2)), 3.0)
    center = values.min() + np.ptp(values) * draws.uniform(0.2, 0.8)
    function = str(draws.choice(["LINEAR", "LINEAR_EXACT", "SIGMOID"]))
    return {"WindowCenter": f"{center:.9g}", "WindowWidth": f"{width:.9g}", "VOILUTFunction": function}


@pytest.mark.filterwarnings("ignore:overflow encountered in exp")  # in pydicom's sigmoid
@pytest.mark.parametrize("seed", range(200))
def test_random_headers_give_what_pydicom_gives_in_float(seed: int, tmp_path: Path) -> None:
    """pydicom turns the output of a window round where the slope is negative: its own ends are what becomes black and white."""
    draws = np.random.default_rng(seed)
    bits, signed = int(draws.choice([6, 8, 10, 12, 14, 16])), bool(draws.integers(2))
    least = -(2 ** (bits - 1)) if signed else 0
    low = int(draws.integers(least, least + 2**bits - 5))
    stored = draws.integers(low, draws.integers(low + 5, least + 2**bits), (20, 20)).astype(np.int16 if signed else np.uint16)
    tags = {"PhotometricInterpretation": str(draws.choice(["MONOCHROME1", "MONOCHROME2"]))}
    tags |= _rescaling(draws) if draws.integers(4) else {}
    values = stored * float(tags.get("RescaleSlope", 1)) + float(tags.get("RescaleIntercept", 0))
    tags |= _window(draws, values) if draws.integers(3) else {}
    path = write_dicom(tmp_path / "x.dcm", stored, bits, **tags)

    dataset = pydicom.dcmread(path)
    shown = np.asarray(apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset), np.float64)
    if "WindowWidth" in tags:
        black, white = apply_windowing(np.array([-1e30, 1e30]), dataset)
    elif bits <= 8:
        black, white = sorted(apply_modality_lut(np.array([least, least + 2**bits - 1]), dataset))
    else:
        black, white = shown.min(), shown.max()
    expected = 255 * ((shown - black) / (white - black)).clip(0, 1)
    expected = 255 - expected if tags["PhotometricInterpretation"] == "MONOCHROME1" else expected
    found, remarks = read_dicom(path)
    if Remark.VOI_IGNORED in remarks:
        assert np.ptp(expected) < 0.01
    else:
        assert np.abs(to_8_bit(found) - expected).max() <= 0.6


def _packed(entries: list[int], declared: int, first: int, bits: int, vr: str = "US") -> Sequence:
    """A LUT whose entries are bytes, two a word."""
    item = Dataset()
    item.add_new(0x00283002, vr, [declared, first, bits])
    item.add_new(0x00283006, "OW", bytes(entries))
    return Sequence([item])


LINE = np.array([[0, 1000, 2000, 4000]], np.uint16)
BYTES = [round(index * 255 / 4095) for index in range(4096)]
#: name -> (stored, tags, gray values of 8 bit)
LUTS: dict[str, tuple[np.ndarray, dict[str, Any], list[int]]] = {
    "says 16 bit, holds 12": (LINE, {"VOILUTSequence": lut(0, list(range(4096)), 16)}, [0, 62, 125, 249]),
    "says 16 bit, holds 0 to 3000": (
        LINE, {"VOILUTSequence": lut(0, [round(i * 3000 / 4095) for i in range(4096)], 16)}, [0, 62, 125, 249]
    ),
    "says 8 bit, holds 12": (LINE, {"VOILUTSequence": lut(0, list(range(4096)), 8)}, [0, 62, 125, 249]),
    "8 bit, with an entry for each of 4096 values": (LINE, {"VOILUTSequence": lut(0, BYTES, 8)}, [0, 62, 125, 249]),
    "8 bit, two entries a word": (LINE, {"VOILUTSequence": _packed(BYTES, 4096, 0, 8)}, [0, 62, 125, 249]),
    "the declared range is kept where the entries need it": (
        LINE, {"VOILUTSequence": lut(0, [round(i * 3000 / 4095) for i in range(4096)], 12)}, [0, 46, 91, 182]
    ),
    "fewer entries than declared: the last stays": (
        LINE, {"VOILUTSequence": _packed([0] * 1000 + [100] * 1000, 4096, 0, 8)}, [0, 255, 255, 255]
    ),
    "first value below all stored ones": (
        LINE, {"VOILUTSequence": lut(-1000, list(range(0, 65536, 8))[:5001], 16)}, [31, 62, 93, 156]
    ),
    "negative first value written as unsigned": (
        np.array([[-1000, 0, 500, 1000]], np.int16), {"VOILUTSequence": lut(65536 - 1000, list(range(0, 4002, 2)), 12)},
        [0, 125, 187, 249],
    ),
    "after a fractional slope": (
        LINE, {"RescaleSlope": 0.5, "RescaleIntercept": 0, "VOILUTSequence": lut(0, list(range(0, 4096, 2)), 12)},
        [0, 62, 125, 249],
    ),
    "a LUT without entries: the window": (
        LINE, {"VOILUTSequence": Sequence([Dataset()]), "WindowCenter": 2000.5, "WindowWidth": 4001}, [0, 64, 128, 255]
    ),
    "a modality LUT on 8 bit": (
        np.array([[0, 1, 2, 3]], np.uint8), {"ModalityLUTSequence": lut(0, [0, 1000, 2000, 4095], 12)}, [0, 62, 125, 255]
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LUTS)
def test_look_up_tables(case: str, tmp_path: Path) -> None:
    stored, tags, expected = LUTS[case]
    path = write_dicom(tmp_path / "x.dcm", stored, 8 if stored.dtype == np.uint8 else 16, **tags)
    found, remarks = read_dicom(path)
    assert np.abs(to_8_bit(found).ravel().astype(int) - expected).max() <= 1, to_8_bit(found)
    assert (Remark.VOI_IGNORED in remarks) == ("without entries" in case)


WINDOWS = {
    "0 and 0": {"WindowCenter": 0, "WindowWidth": 0},
    "0 and 1": {"WindowCenter": 0, "WindowWidth": 1},
    "width 1 within the picture": {"WindowCenter": 2000, "WindowWidth": 1},
    "below 1": {"WindowCenter": 2048, "WindowWidth": 0.5},
    "negative": {"WindowCenter": 2048, "WindowWidth": -4096},
    "all black": {"WindowCenter": 1e6, "WindowWidth": 10},
    "all white": {"WindowCenter": -1e6, "WindowWidth": 10},
    "all of one gray": {"WindowCenter": 2048, "WindowWidth": "1e300"},
    "exact, of width 0": {"WindowCenter": 2048, "WindowWidth": 0, "VOILUTFunction": "LINEAR_EXACT"},
    "sigmoid, of width 0": {"WindowCenter": 2048, "WindowWidth": 0, "VOILUTFunction": "SIGMOID"},
    "sigmoid, all black": {"WindowCenter": 1e6, "WindowWidth": 1, "VOILUTFunction": "SIGMOID"},
    "of an unknown function": {"WindowCenter": 100, "WindowWidth": 100, "VOILUTFunction": "GAMMA"},
    "a LUT of one value": {"VOILUTSequence": lut(0, [70] * 4096, 12)},
    "of padding against all else": {"WindowCenter": -2000, "WindowWidth": 100, "PixelPaddingValue": 0},
}


@pytest.mark.parametrize("case", WINDOWS)
def test_a_window_that_cannot_be_meant_is_passed_over_and_said(case: str, tmp_path: Path) -> None:
    stored = np.maximum(RAMP, 1) if "padding" in case else RAMP
    found, remarks = read_dicom(write_dicom(tmp_path / "x.dcm", stored, 12, **WINDOWS[case]))
    assert np.abs(to_8_bit(found) - SHOWN).max() <= 1
    assert remarks == (Remark.VOI_IGNORED,)


def test_after_an_invalid_window_the_next_counts(tmp_path: Path) -> None:
    tags = {"WindowCenter": [0, 1024], "WindowWidth": [1, 2048]}
    found, remarks = read_dicom(write_dicom(tmp_path / "x.dcm", RAMP, 12, **tags))
    assert np.abs(to_8_bit(found) - (SHOWN * 2).clip(0, 255)).max() <= 1
    assert remarks == (Remark.VOI_IGNORED,)


@pytest.mark.parametrize("tags", [{"WindowCenter": 40, "WindowWidth": 20}, {"WindowWidth": 0, "WindowCenter": 0}])
def test_gray_stored_as_colours_has_no_window(tags: dict[str, Any], tmp_path: Path) -> None:
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16)
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    path = write_dicom(tmp_path / "x.dcm", np.repeat(gray[:, :, None], 3, axis=2), 8, **colour, **tags)
    found, remarks = read_dicom(path)
    assert (found == gray).all()
    assert not remarks


def _with_raw(path: Path, name: str, value: str) -> Path:
    """Writes an element's text into a file, whatever pydicom says of it."""
    dataset = pydicom.dcmread(path)
    dataset[name] = pydicom.dataelem.RawDataElement(
        pydicom.tag.Tag(name), "DS", len(value), value.encode(), 0, is_implicit_VR=False, is_little_endian=True
    )
    dataset.save_as(path)
    return path


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("RescaleSlope", "nan ", "RescaleSlope is nan"),
        ("RescaleSlope", "inf ", "RescaleSlope is inf"),
        ("RescaleSlope", "1e308 ", "infinite values"),
        ("RescaleSlope", "-1e308", "infinite values"),
        ("RescaleSlope", "0 ", "4 gray levels all become 0"),
        ("RescaleSlope", "1e-300", "4 gray levels all become 0"),
        ("RescaleIntercept", "nan ", "RescaleIntercept is nan"),
        ("RescaleIntercept", "-inf", "RescaleIntercept is -inf"),
        ("RescaleIntercept", "1e30", "4 gray levels all become 0"),
        ("WindowWidth", "nan ", "WindowWidth is nan"),
        ("WindowWidth", "inf ", "WindowWidth is inf"),
        ("WindowCenter", "nan ", "WindowCenter is nan"),
    ],
)
@pytest.mark.parametrize("bits", [8, 12])
def test_what_is_not_finite_or_leaves_one_value_is_unreadable(
    name: str, value: str, said: str, bits: int, tmp_path: Path
) -> None:
    stored = np.array([[0, 64], [128, 255]], np.uint8 if bits == 8 else np.uint16)
    tags = {"RescaleSlope": 1, "RescaleIntercept": 10} | ({"WindowCenter": 128, "WindowWidth": 256} if "W" in name else {})
    path = _with_raw(write_dicom(tmp_path / "x.dcm", stored, bits, **tags), name, value)
    with pytest.raises(UnreadableImageError, match=said):
        read_gray(path)


def test_a_blank_picture_is_no_failure(tmp_path: Path) -> None:
    for bits, dtype in ((8, np.uint8), (12, np.uint16)):
        found, remarks = read_dicom(write_dicom(tmp_path / "x.dcm", np.full((4, 4), 7, dtype), bits))
        assert np.ptp(found) == 0
        assert not remarks


@pytest.mark.parametrize(
    ("tags", "bright"),
    [({"WindowCenter": 2048, "WindowWidth": 12}, 0), ({"WindowCenter": 32768, "WindowWidth": 65536}, 0), ({}, 65535)],
)
def test_a_picture_that_loses_nearly_all_levels_is_remarked_on(tags: dict[str, Any], bright: int, tmp_path: Path) -> None:
    """A window far too narrow, one far too wide, and one pixel far brighter than all others."""
    stored = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    stored[0, 0] = bright
    square = make_square(write_dicom(tmp_path / "x.dcm", stored, 16, **tags), PixelSettings(64))
    assert square.remarks == (Remark.FEW_LEVELS,)
    plain = make_square(write_dicom(tmp_path / "x.dcm", stored[1:], 16), PixelSettings(64))
    assert not plain.remarks


GOOD = [
    "plain", "overlay_bits", "signed12_not_extended", "modality_lut_signed", "voi_lut_16bit_holds_12", "voi_lut_empty",
    "two_windows", "width_0", "width_negative", "width_1", "rgb_plain", "rgb_window", "rgb_planar", "8in16", "one_frame",
    "mono1_slope", "window_blank", "plain_j2k",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_the_odd_files_show_their_ramp(name: str, real_data: Path) -> None:
    found, remarks = read_dicom(real_data / "odd/dicom" / f"{name}.dcm")
    assert np.abs(to_8_bit(found) - np.linspace(0, 255, 64)).max() <= 1.5
    assert remarks == ((Remark.VOI_IGNORED,) if name.startswith("width") else ())


@pytest.mark.parametrize(("name", "said"), [("no_pixels", "without pixels"), ("cut", "less than expected")])
def test_the_odd_files_that_cannot_be_read_say_why(name: str, said: str, real_data: Path) -> None:
    with pytest.raises(UnreadableImageError, match=said):
        read_dicom(real_data / "odd/dicom" / f"{name}.dcm")
