"""Batched augmentation against torchvision's, image by image."""

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as reference

from cxrlt_cli.data.augment import (
    MEAN,
    STD,
    AugmentParams,
    affine,
    augment,
    augment_at_once,
    draw,
    matrices,
    normalise,
    to_unit,
)
from cxrlt_cli.data.warp import warp


def _pictures(count: int = 3, size: int = 48) -> torch.Tensor:
    """Smooth pictures of 0..1 that no flip or rotation leaves alike."""
    x, y = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="xy")
    return torch.stack(
        [(0.4 + 0.3 * torch.sin(3 * x + k) + 0.3 * torch.cos(5 * y * (x + 1)))[None] for k in range(count)]
    ).clamp(0, 1)


def _maps(flip: bool = False, degrees: float = 0, zoom: float = 1, right: float = 0, down: float = 0) -> torch.Tensor:
    return matrices(np.array([flip] * 3), np.array([degrees] * 3), np.array([zoom] * 3), np.array([[right, down]] * 3))


def test_no_change_is_the_picture_itself() -> None:
    assert torch.allclose(affine(_pictures(), _maps()), _pictures(), atol=1e-5)


def test_flip_mirrors_left_and_right() -> None:
    assert torch.allclose(affine(_pictures(), _maps(flip=True)), _pictures().flip(-1), atol=1e-5)


def test_shift_moves_right_and_down() -> None:
    found = affine(_pictures(), _maps(right=6 / 48, down=3 / 48))
    assert torch.allclose(found[:, :, 3:, 6:], _pictures()[:, :, :-3, :-6], atol=1e-5)
    assert found[:, :, :3].abs().max() < 1e-5


@pytest.mark.parametrize(("degrees", "zoom", "right", "down"), [(10, 1, 0, 0), (-7, 1, 0, 0), (0, 1.2, 0, 0), (5, 0.9, 4, -2)])
def test_affine_is_torchvisions(degrees: float, zoom: float, right: int, down: int) -> None:
    found = affine(_pictures(), _maps(degrees=degrees, zoom=zoom, right=right / 48, down=down / 48))
    expected = reference.affine(
        _pictures(), angle=-degrees, translate=[right, down], scale=zoom, shear=[0.0, 0.0],
        interpolation=reference.InterpolationMode.BILINEAR, fill=[0.0],
    )  # fmt: skip
    inner = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    assert torch.allclose(found[inner], expected[inner], atol=1e-3)


def _bytes(count: int = 3, size: int = 48) -> torch.Tensor:
    return (_pictures(count, size)[:, 0] * 255).round().to(torch.uint8)


def test_augmentation_depends_on_the_row_not_on_the_batch() -> None:
    pictures = _bytes(1).expand(4, -1, -1)
    whole = augment(pictures, draw(0, 2, np.array([5, 9, 11, 4]), AugmentParams()))
    alone = augment(pictures[:1], draw(0, 2, np.array([11]), AugmentParams()))
    assert torch.equal(whole[2], alone[0])
    assert not torch.allclose(whole[0], whole[1], atol=1e-2)
    assert not torch.allclose(whole, augment(pictures, draw(0, 3, np.array([5, 9, 11, 4]), AugmentParams())), atol=1e-2)


def test_augmentation_stays_within_the_range_and_is_off_at_zero() -> None:
    found = augment(_bytes(), draw(0, 0, np.arange(3), AugmentParams()))
    assert 0 <= found.min() <= found.max() <= 1
    nothing = AugmentParams(rotation=0, zoom=0, shift=0, contrast=0, brightness=0, flip=0)
    assert torch.allclose(augment(_bytes(), draw(0, 0, np.arange(3), nothing)), to_unit(_bytes()), atol=1e-6)


@pytest.mark.parametrize("size", [48, 224])
def test_what_opencv_makes_is_what_the_device_makes_to_a_gray_value(size: int) -> None:
    """Rounding to 8 bit costs half a gray value, contrast makes it 0.6; the edge of the picture is blended into black."""
    drawn = draw(3, 1, np.arange(24), AugmentParams())
    ahead, at_once = (form(_bytes(24, size), drawn) for form in (augment, augment_at_once))
    difference = (ahead - at_once).abs() * 255
    assert difference.max() < 1.5
    assert difference.mean() < 0.35


def test_opencvs_maps_are_torchvisions() -> None:
    pictures, identity = _bytes(), np.tile(np.arange(256, dtype=np.float32), (3, 1))
    found = warp(pictures.numpy(), _maps(degrees=9, zoom=1.1, right=4 / 48, down=-2 / 48).numpy(), identity)
    expected = reference.affine(
        pictures[:, None].float(), angle=-9, translate=[4, -2], scale=1.1, shear=[0.0, 0.0],
        interpolation=reference.InterpolationMode.BILINEAR, fill=[0.0],
    )[:, 0]  # fmt: skip
    inner = (slice(None), slice(8, -8), slice(8, -8))
    assert np.abs(found - expected.numpy())[inner].max() < 1.0


def test_normalising() -> None:
    images = torch.tensor([[[0, 255]]], dtype=torch.uint8)
    expected = torch.tensor([[[[-MEAN / STD, (1 - MEAN) / STD]]]])
    assert torch.allclose(normalise(to_unit(images)), expected)
