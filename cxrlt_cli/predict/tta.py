"""Test-time augmentation: a fixed list of views, the first of which is the image as it is.

The paper does not publish its views; these are a choice of cxrlt. `--tta N` takes the first N.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from cxrlt_cli.data.augment import affine, matrices


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
    shift = np.array([[view.right, view.down]])
    maps = matrices(np.array([view.flip]), np.array([view.degrees]), np.array([view.zoom]), shift).to(images.device)
    return affine(images.transpose(0, 1), maps).transpose(0, 1)  # channels of one picture: its weights are computed once
