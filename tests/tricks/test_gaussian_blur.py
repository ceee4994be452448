import pytest
import torch
from torchvision.transforms.functional import gaussian_blur as torchvisions

from cxrlt_cli.tricks.gaussian_blur import gaussian_blur


def test_each_image_is_blurred_as_torchvision_does() -> None:
    images = torch.rand(3, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.5, 1.0, 1.7])
    found = gaussian_blur(images, sigma)
    for index, value in enumerate(sigma.tolist()):
        assert torch.allclose(found[index], torchvisions(images[index], [13, 13], [value, value]), atol=1e-6)


def test_worked_by_hand() -> None:
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 4, 4] = 1.0
    found = gaussian_blur(image, torch.tensor([1.0]))
    assert found.sum() == pytest.approx(1.0, abs=1e-6)
    assert (found[0, 0, 4, 5] / found[0, 0, 4, 4]).item() == pytest.approx(torch.exp(torch.tensor(-0.5)).item())
