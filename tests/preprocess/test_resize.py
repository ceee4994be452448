"""From any shape to the square."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from cxrlt_cli.errors import UserError
from cxrlt_cli.preprocess.resize import Fit, Resample, resize
from cxrlt_cli.preprocess.settings import PixelSettings, read_square, settings_from


def _square(picture: np.ndarray, folder: Path, size: int, fit: Fit, **settings: Any) -> np.ndarray:
    Image.fromarray(picture).save(folder / "picture.png")
    return read_square(folder / "picture.png", PixelSettings(size, fit, **settings))


@pytest.fixture
def wide() -> np.ndarray:
    """Twice as wide as high: left third dark, middle gray, right third bright."""
    picture = np.full((60, 120), 100, np.uint8)
    picture[:, :40], picture[:, 80:] = 30, 200
    return picture


def test_pad_keeps_the_whole_picture_in_the_middle_of_black(wide: np.ndarray, tmp_path: Path) -> None:
    square = _square(wide, tmp_path, 64, "pad")
    assert square.shape == (64, 64)
    assert not square[:16].any()
    assert not square[48:].any()
    middle = square[20:44]
    assert (middle[:, :18] == 30).all()
    assert (middle[:, 46:] == 200).all()


def test_crop_keeps_the_middle(wide: np.ndarray, tmp_path: Path) -> None:
    square = _square(wide, tmp_path, 60, "crop")
    assert (square[:, :7] == 30).all()
    assert (square[:, 13:47] == 100).all()
    assert (square[:, 53:] == 200).all()


def test_stretch_keeps_everything_and_gives_up_proportions(wide: np.ndarray, tmp_path: Path) -> None:
    square = _square(wide, tmp_path, 60, "stretch")
    assert (square[:, :17] == 30).all()
    assert (square[:, 43:] == 200).all()


@pytest.mark.parametrize("fit", get_args(Fit))
@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (7, 5), (64, 64)])
def test_extreme_shapes_become_squares(fit: Fit, shape: tuple[int, int], tmp_path: Path) -> None:
    square = _square(np.full(shape, 90, np.uint8), tmp_path, 64, fit)
    assert square.shape == (64, 64)
    assert square.dtype == np.uint8
    assert square.max() == 90


@pytest.mark.parametrize("resample", get_args(Resample))
@pytest.mark.parametrize("shape", [(512, 512), (510, 510), (600, 500)])
def test_shrinking_is_antialiased(resample: Resample, shape: tuple[int, int]) -> None:
    """One-pixel stripes become their mean; without antialiasing they would become moire."""
    stripes = np.zeros(shape, np.uint8)
    stripes[:, ::2] = 200
    square = resize(stripes, (64, 64), resample).astype(int)
    assert np.abs(square[2:-2, 2:-2] - 100).max() <= 13  # the parts of a stripe at an edge of the window


@pytest.mark.parametrize("resample", get_args(Resample))
def test_shrinking_is_near_an_independent_antialiased_resize(resample: Resample) -> None:
    smooth = np.add.outer(np.sin(np.arange(300) / 9), np.cos(np.arange(300) / 7))
    picture = (127 + 60 * smooth).clip(0, 255).astype(np.uint8)
    tensor = torch.from_numpy(picture).float()[None, None]
    reference = functional.interpolate(tensor, (100, 100), mode="bicubic", antialias=True)[0, 0].numpy()
    assert np.abs(resize(picture, (100, 100), resample) - reference).mean() < 1.2


def test_area_is_the_exact_mean_of_what_lies_under_a_pixel() -> None:
    """3 -> 2 pixels: the first output pixel covers the first input pixel and half of the second."""
    row = np.array([[30, 90, 240]] * 3, np.uint8)
    assert resize(row, (2, 2), "area")[0].tolist() == [50, 190]  # (30 + 90/2) / 1.5, (90/2 + 240) / 1.5


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": 4}, "--size 4"),
        ({"size": 64, "window": "5"}, "--window '5'"),
        ({"size": 64, "window": "99,1"}, "--window '99,1'"),
        ({"size": 64, "clahe": -1.0}, "--clahe"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        PixelSettings(**settings)


def test_settings_come_back_as_they_were_saved_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    settings = PixelSettings(64, "crop", "lanczos", "1,99", 2.0)
    assert settings_from(settings.saved(), tmp_path) == settings
    for strange in ({**settings.saved(), "resample": "nearest"}, {"size": 64}, {**settings.saved(), "gamma": 2}):
        with pytest.raises(UserError, match="unknown pixel settings"):
            settings_from(strange, tmp_path)
