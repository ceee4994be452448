"""Windows, equalization and inversion."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrlt_cli.preprocess.gray_levels import equalize, to_8_bit
from cxrlt_cli.preprocess.settings import PixelSettings, read_square


def test_a_window_by_hand() -> None:
    """Of ten values the 10th percentile is 100, the 90th is 900: these become 0 and 255, 500 127.5, which rounds to 128."""
    values = np.array([[100, 200, 300, 400, 500], [600, 700, 800, 900, 60000]], np.uint16)
    assert to_8_bit(values, (10, 90)).tolist() == [[0, 32, 64, 96, 128], [159, 191, 223, 255, 255]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_window_is_numpys_percentile(dtype: type) -> None:
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max // 3, (50, 70)).astype(dtype)
    low, high = np.percentile(values, [2, 97], method="inverted_cdf").astype(float)
    expected = np.rint(((values - low) * (255 / (high - low))).clip(0, 255))
    assert (to_8_bit(values, (2, 97)) == expected).all()


def test_without_a_window_the_range_of_the_type_counts() -> None:
    assert to_8_bit(np.array([[0, 128, 129, 65535]], np.uint16)).tolist() == [[0, 0, 1, 255]]
    same = np.arange(256, dtype=np.uint8)[None]
    assert (to_8_bit(same) == same).all()


def test_a_picture_of_one_value_has_a_window_too() -> None:
    assert to_8_bit(np.full((4, 4), 70, np.uint8), (1, 99)).max() == 0


def test_equalization_spreads_a_flat_region() -> None:
    flat = np.random.default_rng(0).integers(100, 110, (128, 128)).astype(np.uint8)
    assert equalize(flat, 4.0).std() > 2 * flat.std()


def test_inverted_pictures_are_turned_round_and_their_border_stays_black(tmp_path: Path) -> None:
    Image.fromarray(np.full((32, 64), 40, np.uint8)).save(tmp_path / "x.png")
    square = read_square(tmp_path / "x.png", PixelSettings(64), inverted=True)
    assert (square[16:48] == 215).all()
    assert not square[:16].any()
