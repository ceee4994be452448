"""The fixed list of views."""

import torch

from cxrlt_cli.config.predict import VIEW_COUNT
from cxrlt_cli.inference.views import VIEWS, look


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
