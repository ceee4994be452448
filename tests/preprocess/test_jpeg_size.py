"""A JPEG that is decoded at a part of its size keeps the proportions of the whole."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrlt_cli.preprocess.read_gray import full, read_picture
from cxrlt_cli.preprocess.resize import Fit, in_square, middle, resize, shape_in, span_of
from cxrlt_cli.preprocess.settings import PixelSettings, read_square


def _jpeg(path: Path, width: int, height: int) -> Path:
    """A smooth picture without black."""
    waves = np.add.outer(np.sin(np.arange(height) / 37), np.cos(np.arange(width) / 41))
    Image.fromarray((140 + 50 * waves).astype(np.uint8)).save(path, quality=95)
    return path


def test_the_rows_of_999_x_756_at_224_px(tmp_path: Path) -> None:
    """756 * 224 / 999 = 169.5, so 170; the half size, 500 x 378, would give 378 * 224 / 500 = 169.3."""
    square = read_square(_jpeg(tmp_path / "x.jpg", 999, 756), PixelSettings(224))
    assert np.flatnonzero(square.max(axis=1)).tolist() == list(range(27, 197))


def _sizes() -> list[tuple[int, int, int]]:
    """Sizes whose proportions change when their sides are halved, quartered … and rounded up."""
    found = []
    for size, reduction in ((64, 2), (64, 4), (64, 8), (100, 2), (224, 2)):
        for width in range(int(1.45 * size * reduction), int(1.45 * size * reduction) + 40):
            for height in (width - 3, width - width // 4, width - width // 3):
                small = -(-width // reduction), -(-height // reduction)
                if shape_in(*small, size, "pad") != shape_in(width, height, size, "pad"):
                    found.append((width, height, size))
    return found[:: max(1, len(found) // 30)]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("width", "height", "size"), _sizes())
def test_the_shape_is_that_of_the_file(width: int, height: int, size: int, turned: bool, tmp_path: Path) -> None:
    width, height = (height, width) if turned else (width, height)
    path = _jpeg(tmp_path / "x.jpg", width, height)
    picture = read_picture(path, lambda width, height: span_of(width, height, size, "pad"))
    assert picture.values.shape == tuple(int(np.ceil(side)) for side in picture.extent[::-1])
    assert picture.extent[0] < width
    right = shape_in(width, height, size, "pad")
    square = read_square(path, PixelSettings(size))
    assert (int(np.count_nonzero(square.max(axis=0))), int(np.count_nonzero(square.max(axis=1)))) == right
    whole = in_square(resize(read_picture(path, full).values, right, "area"), size)
    assert np.abs(square.astype(int) - whole).mean() < 0.7


@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_other_fits_stay_near_the_whole_decode(fit: Fit, tmp_path: Path) -> None:
    path = _jpeg(tmp_path / "x.jpg", 999, 757)
    whole = read_picture(path, full).values
    expected = resize(middle(whole) if fit == "crop" else whole, (224, 224), "area")
    assert np.abs(read_square(path, PixelSettings(224, fit)).astype(int) - expected).mean() < 1


def test_real_jpegs_are_near_a_whole_decode(real_data: Path) -> None:
    for path in sorted((real_data / "radiographs").glob("*.jp*g")):
        picture = read_picture(path, full)
        shape = shape_in(*picture.extent, 224, "pad")
        expected = in_square(resize(picture.values, shape, "area"), 224)
        assert np.abs(read_square(path, PixelSettings(224)).astype(int) - expected).mean() < 0.6, path.name
