import numpy as np
import pytest
import torch

from cxrlt_cli.data.corruptions import Disturbances, disturb

IMAGES = torch.rand(64, 1, 160, 160, generator=torch.Generator().manual_seed(0))
DRAWS = np.arange(64)


def test_off_is_the_very_same_batch() -> None:
    assert disturb(IMAGES, 0, 0, DRAWS, Disturbances()) is IMAGES


@pytest.mark.parametrize("kind", ["blur", "noise", "erasing"])
def test_a_share_of_the_images_is_disturbed(kind: str) -> None:
    before = IMAGES.clone()
    found = disturb(IMAGES, 0, 0, DRAWS, Disturbances(**{kind: 0.5}))
    changed = (found != IMAGES).flatten(1).any(dim=1)
    assert 20 < changed.sum() < 44
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.equal(IMAGES, before)


@pytest.mark.parametrize("kind", ["blur", "noise", "erasing"])
def test_what_befalls_an_image_does_not_depend_on_its_neighbours(kind: str) -> None:
    shares = Disturbances(**{kind: 0.7})
    whole = disturb(IMAGES, 3, 1, DRAWS, shares)
    for part in (slice(0, 20), slice(20, 64)):
        found = disturb(IMAGES[part], 3, 1, DRAWS[part], shares)
        assert torch.allclose(found, whole[part], atol=1e-6)
    assert not torch.equal(disturb(IMAGES, 3, 2, DRAWS, shares), whole)


def test_noise_has_the_deviation_that_was_drawn_and_differs_between_images() -> None:
    gray = torch.full((200, 1, 64, 64), 0.5)
    found = disturb(gray, 0, 0, np.arange(200), Disturbances(noise=1.0)) - gray
    stds = found.flatten(1).std(dim=1)
    assert 0.009 < stds.min() < 0.015
    assert 0.045 < stds.max() < 0.055
    alike = torch.corrcoef(found.flatten(1)) - torch.eye(200)
    assert (alike.abs() > 0.5).sum() <= 2
