"""Test-time augmentation: a fixed list of views, the first of which is the image as it is.

The paper does not publish its views; these are a choice of cxrlt. `--tta N` takes the first N.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cxrlt_cli.data.augment import affine, matrices, normalise


@dataclass(frozen=True)
class View:
    """One way to look at an image: mirrored, enlarged, shifted by shares of the side, rotated counter-clockwise."""

    flip: bool = False
    zoom: float = 1.0
    right: float = 0.0
    down: float = 0.0
    degrees: float = 0.0


VIEWS = (
    View(),
    View(flip=True),
    View(zoom=1.1),
    View(flip=True, zoom=1.1),
    View(right=0.04),
    View(flip=True, right=0.04),
    View(down=0.04),
    View(flip=True, down=0.04),
    View(degrees=5.0),
    View(flip=True, degrees=5.0),
    View(degrees=-5.0),
    View(flip=True, degrees=-5.0),
    View(zoom=0.9),
    View(flip=True, zoom=0.9),
    View(right=-0.04),
    View(flip=True, right=-0.04),
)


def look(images: Tensor, view: View) -> Tensor:
    """The images as a view shows them.

    Args:
        images: (B, 1, S, S) of 0..1.
        view: what to do; mirroring alone moves pixels without resampling, and the first view is the images themselves.

    Returns:
        The same shape; black where the view looks beyond the picture.
    """
    if view == View(flip=view.flip):
        return images.flip(-1) if view.flip else images
    maps = _map(view).to(images.device)
    return affine(images.transpose(0, 1), maps).transpose(0, 1)  # channels of one picture: its weights are computed once


def looks(images: Tensor, views: tuple[View, ...]) -> Tensor:
    """What `look` gives for each view, with one resampling for all of them: on a GPU one kernel instead of one a view.

    Args:
        images: (B, 1, S, S) of 0..1.
        views: V views.

    Returns:
        (V * B, 1, S, S), view by view.
    """
    found = images.new_empty(len(views), *images.shape)
    moving = tuple(view for view in views if view != View(flip=view.flip))
    if moving:
        # the images are channels of one picture, so that a view has one grid
        pictures = images.transpose(0, 1).expand(len(moving), -1, -1, -1)
        resampled = iter(affine(pictures, _maps(moving, images.device)).unsqueeze(2))
    for seen, view in zip(found, views, strict=True):
        seen.copy_(next(resampled) if view in moving else look(images, view))
    return found.flatten(0, 1)


def normalised_views(images: Tensor, views: tuple[View, ...]) -> Tensor:
    """All views of some images as the network takes them.

    Args:
        images: (B, 1, S, S) of 0..1.
        views: V views.

    Returns:
        (V * B, 1, S, S), normalised, view by view.
    """
    if images.device.type != "cpu":
        return normalise(looks(images, views))
    count, _, size, _ = images.shape
    plain = normalise(images)
    black = plain.new_full((1, count), float(normalise(torch.zeros(1))))
    table = torch.cat([plain[:, 0].permute(1, 2, 0).reshape(size * size, count), black])  # a place a row, an image a column
    found = plain.new_empty(len(views), *plain.shape)
    for seen, view in zip(found, views, strict=True):
        if view == View(flip=view.flip):
            seen.copy_(plain.flip(-1) if view.flip else plain)
            continue
        places, weights = _neighbours(view, size)
        resampled = functional.embedding_bag(places, table, mode="sum", per_sample_weights=weights)
        seen[:, 0].copy_(resampled.view(size, size, count).permute(2, 0, 1))
    return found.flatten(0, 1)


@lru_cache(maxsize=len(VIEWS))
def _neighbours(view: View, size: int) -> tuple[Tensor, Tensor]:
    """The four places around each pixel of a view, and their bilinear weights.

    `embedding_bag` adds rows of a table, one row a place of all images; `grid_sample` gathers single pixels, which is slower.

    Returns:
        (S * S, 4) int32 row-by-row numbers of the places, S * S for black, and (S * S, 4) float32.
    """
    steps = (2 * np.arange(size) + 1) / size - 1  # middles of pixels, in -1..1
    across, down = np.meshgrid(steps, steps)
    x, y = np.einsum("ij,jp->ip", _map(view)[0].double().numpy(), [across.ravel(), down.ravel(), np.ones(size * size)])
    x, y = ((x + 1) * size - 1) / 2, ((y + 1) * size - 1) / 2
    left, top = np.floor(x), np.floor(y)
    columns, rows = np.stack([left, left + 1, left, left + 1], 1), np.stack([top, top, top + 1, top + 1], 1)
    weights = (1 - np.abs(x[:, None] - columns)) * (1 - np.abs(y[:, None] - rows))
    inside = (columns >= 0) & (columns < size) & (rows >= 0) & (rows < size)
    places = np.where(inside, rows * size + columns, size * size).astype(np.int32)
    return torch.from_numpy(places), torch.from_numpy(weights.astype(np.float32))


@lru_cache(maxsize=len(VIEWS))
def _maps(views: tuple[View, ...], device: torch.device) -> Tensor:
    """(V, 2, 3) the views' maps on a device; kept there, because a copy to a GPU waits until it has finished its work."""
    return torch.cat([_map(view) for view in views]).to(device)


def _map(view: View) -> Tensor:
    """(1, 2, 3) from output to input coordinates of -1..1."""
    shift = np.array([[view.right, view.down]])
    return matrices(np.array([view.flip]), np.array([view.degrees]), np.array([view.zoom]), shift)
