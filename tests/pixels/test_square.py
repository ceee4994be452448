"""From any shape to the square."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from cxrlt_cli.pixels.square import to_square


def _wide() -> Image.Image:
    """Twice as wide as high: left third dark, middle gray, right third bright."""
    picture = np.full((60, 120), 100, np.uint8)
    picture[:, :40], picture[:, 80:] = 30, 200
    return Image.fromarray(picture)


def test_pad_keeps_the_whole_picture_in_the_middle_of_black() -> None:
    square = to_square(_wide(), 64, "pad")
    assert square.shape == (64, 64)
    assert not square[:16].any()
    assert not square[48:].any()
    middle = square[20:44]
    assert (middle[:, :18] == 30).all()
    assert (middle[:, 46:] == 200).all()


def test_crop_keeps_the_middle() -> None:
    square = to_square(_wide(), 60, "crop")
    assert (square[:, :7] == 30).all()
    assert (square[:, 13:47] == 100).all()
    assert (square[:, 53:] == 200).all()


def test_stretch_keeps_everything_and_gives_up_proportions() -> None:
    square = to_square(_wide(), 60, "stretch")
    assert (square[:, :17] == 30).all()
    assert (square[:, 43:] == 200).all()


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (7, 5), (64, 64)])
def test_extreme_shapes_become_squares(fit: str, shape: tuple[int, int]) -> None:
    square = to_square(Image.new("L", shape, 90), 64, fit)  # type: ignore[arg-type]
    assert square.shape == (64, 64)
    assert square.dtype == np.uint8
    assert square.max() == 90


def test_shrinking_is_antialiased() -> None:
    """One-pixel stripes become their mean; without antialiasing they would become moire."""
    stripes = np.zeros((512, 512), np.uint8)
    stripes[:, ::2] = 200
    square = to_square(Image.fromarray(stripes), 64, "stretch").astype(int)
    assert np.abs(square[2:-2, 2:-2] - 100).max() <= 2


def test_shrinking_is_near_an_independent_antialiased_resize() -> None:
    smooth = np.add.outer(np.sin(np.arange(300) / 9), np.cos(np.arange(300) / 7))
    picture = (127 + 60 * smooth).clip(0, 255).astype(np.uint8)
    tensor = torch.from_numpy(picture).float()[None, None]
    reference = functional.interpolate(tensor, (100, 100), mode="bicubic", antialias=True)[0, 0].numpy()
    ours = to_square(Image.fromarray(picture), 100, "stretch")
    assert np.abs(ours - reference).mean() < 1.0
