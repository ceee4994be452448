"""The fixed list of views."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as torchvision

from cxrlt_cli.config.predict import VIEW_COUNT
from cxrlt_cli.data.augment import normalise
from cxrlt_cli.predict.tta import VIEWS, View, look, looks, normalised_views


def test_the_first_view_is_the_image_itself() -> None:
    images = torch.rand(2, 1, 16, 16)
    assert look(images, VIEWS[0]) is images


def test_mirroring_moves_pixels_without_resampling() -> None:
    images = torch.rand(2, 1, 16, 16)
    assert torch.equal(look(images, VIEWS[1]), images.flip(-1))


def test_all_views_differ_and_keep_shape_and_range() -> None:
    images = torch.rand(1, 1, 32, 32)
    views = torch.stack([look(images, view) for view in VIEWS])
    assert len(VIEWS) == VIEW_COUNT == len({tuple(view.flatten().tolist()) for view in views})
    assert views.shape == (VIEW_COUNT, 1, 1, 32, 32)
    assert 0 <= views.min() <= views.max() <= 1 + 1e-5


def test_a_view_of_one_image_does_not_depend_on_the_others() -> None:
    images = torch.rand(3, 1, 16, 16)
    for view in VIEWS:
        assert torch.allclose(look(images, view)[1:2], look(images[1:2], view), atol=1e-6)


def _by_torchvision(images: Tensor, view: View) -> Tensor:
    """The picture is mirrored, then enlarged and turned about its middle, then shifted."""
    flipped = torchvision.horizontal_flip(images) if view.flip else images
    side = images.shape[-1]
    shift = [view.right * side, view.down * side]
    return torchvision.affine(flipped, -view.degrees, shift, view.zoom, [0.0, 0.0], interpolation=InterpolationMode.BILINEAR)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_every_view_is_torchvisions(view: View) -> None:
    images = torch.rand(2, 1, 50, 50, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(look(images, view), _by_torchvision(images, view), atol=1e-4)


def test_the_views_are_flips_zooms_shifts_and_small_rotations() -> None:
    assert {view.flip for view in VIEWS[:2]} == {False, True}
    assert {view.zoom for view in VIEWS} == {1.0, 1.1, 0.9}
    assert {(view.right, view.down) for view in VIEWS} == {(0.0, 0.0), (0.04, 0.0), (-0.04, 0.0), (0.0, 0.04)}
    assert {view.degrees for view in VIEWS} == {0.0, 5.0, -5.0}
    for count in (2, 4, 8, 16):  # every such number of views sees each picture as often mirrored as not
        assert sum(view.flip for view in VIEWS[:count]) == count // 2


@pytest.mark.parametrize(("count", "size"), [(1, 16), (3, 50)])
def test_all_views_at_once_are_each_view_alone(count: int, size: int) -> None:
    images = torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(0))
    found = normalised_views(images, VIEWS).unflatten(0, (len(VIEWS), count))
    for seen, view in zip(found, VIEWS, strict=True):
        alone = normalise(look(images, view))
        if view == View(flip=view.flip):
            assert torch.equal(seen, alone)
        assert torch.allclose(seen, alone, atol=1e-4)
    assert torch.allclose(normalised_views(images[:1], VIEWS[4:6]), found[4:6, 0], atol=1e-6)


@pytest.mark.parametrize("views", [VIEWS, VIEWS[:1], VIEWS[:2], VIEWS[2:5]], ids=len)
def test_one_resampling_for_all_views_gives_each_view(views: tuple[View, ...]) -> None:
    images = torch.rand(3, 1, 50, 50, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([look(images, view) for view in views])
    assert torch.allclose(looks(images, views), alone, atol=1e-6)
