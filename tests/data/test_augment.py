"""Batched augmentation against torchvision's, image by image."""

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as reference

from cxrlt_cli.data.augment import DEVIATION, MEAN, Amounts, affine, augment, matrices, normalise, to_unit


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


def test_augmentation_depends_on_the_row_not_on_the_batch() -> None:
    pictures = _pictures(1).expand(4, -1, -1, -1)
    whole = augment(pictures, 0, 2, np.array([5, 9, 11, 4]), Amounts())
    alone = augment(pictures[:1], 0, 2, np.array([11]), Amounts())
    assert torch.allclose(whole[2], alone[0], atol=1e-6)
    assert not torch.allclose(whole[0], whole[1], atol=1e-2)
    assert not torch.allclose(whole, augment(pictures, 0, 3, np.array([5, 9, 11, 4]), Amounts()), atol=1e-2)


def test_augmentation_stays_within_the_range_and_is_off_at_zero() -> None:
    found = augment(_pictures(), 0, 0, np.arange(3), Amounts())
    assert 0 <= found.min() <= found.max() <= 1
    nothing = Amounts(rotation=0, zoom=0, shift=0, contrast=0, brightness=0, flip=0)
    assert torch.allclose(augment(_pictures(), 0, 0, np.arange(3), nothing), _pictures(), atol=1e-5)


def test_normalising() -> None:
    images = torch.tensor([[[0, 255]]], dtype=torch.uint8)
    expected = torch.tensor([[[[-MEAN / DEVIATION, (1 - MEAN) / DEVIATION]]]])
    assert torch.allclose(normalise(to_unit(images)), expected)
