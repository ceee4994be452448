"""Maps as a features file holds them: pooling, rounding, gradients, and what identifies the encoder that made them."""

import copy

import numpy as np
import pytest
import tiny_encoder  # noqa: F401 - makes `timm:tiny_golden` known
import torch

from cxrlt_cli.model.encoder import VisualEncoder, weights_digest
from cxrlt_cli.model.stored_maps import as_stored, map_size


def test_pooling_is_the_mean_of_the_cells() -> None:
    """A grid of 2 over 3 x 3 cells: windows of 2 x 2, which overlap in the middle."""
    maps = torch.arange(9.0).view(1, 1, 3, 3)
    assert as_stored(maps, 2).flatten().tolist() == [2.0, 3.0, 5.0, 6.0]
    assert torch.equal(as_stored(maps, 0), maps)
    assert torch.equal(as_stored(as_stored(maps, 2), 2), as_stored(maps, 2)), "stored maps stay as they are"


@pytest.mark.parametrize("grid", [0, 3])
def test_values_are_those_of_float16_with_and_without_gradients(grid: int) -> None:
    maps = torch.randn(2, 5, 7, 7, generator=torch.Generator().manual_seed(0)) * 10.0 ** torch.arange(-7, 8, 3).view(5, 1, 1)
    found = as_stored(maps, grid)
    assert (found.numpy() == found.numpy().astype(np.float16).astype(np.float32)).all()
    with torch.enable_grad():
        followed = as_stored(maps.clone().requires_grad_(), grid)
    assert torch.equal(followed.detach(), found)
    assert followed.requires_grad


def test_the_gradient_passes_the_rounding_unchanged() -> None:
    maps = torch.randn(1, 2, 4, 4).requires_grad_()
    (as_stored(maps, 2) * 1e-9).sum().backward()
    assert maps.grad is not None
    assert maps.grad.flatten().tolist() == pytest.approx([1e-9 / 4] * 32, rel=1e-5)


def test_the_digest_names_weights_and_input_range() -> None:
    torch.manual_seed(0)
    encoder = VisualEncoder("timm:tiny_golden")
    digest = weights_digest(encoder)
    assert digest == weights_digest(copy.deepcopy(encoder))
    other = copy.deepcopy(encoder)
    other.mean = [0.4]
    assert weights_digest(other) != digest
    for tensor in encoder.network.state_dict().values():
        tensor += 1  # noqa: PLW2901 - in place
        assert weights_digest(encoder) != digest
        tensor -= 1  # noqa: PLW2901
    assert map_size(encoder, 32) == (8, 8, 8)
