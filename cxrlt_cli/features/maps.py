"""From pixels to the maps that a features file holds."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cxrlt_cli.data.augment import AugmentParams, augment, draw, normalise, to_unit
from cxrlt_cli.model.encoder import VisualEncoder
from cxrlt_cli.model.stored_maps import as_stored


@dataclass(frozen=True)
class MapMaker:
    """Computes maps.

    Attributes:
        encoder: in evaluation form, on its device.
        device: of the encoder.
        precision: of its convolutions and matrix products.
        layout: memory layout of the images.
        grid: side of the pooled map; 0 where it is not pooled.
        views: maps of an image.
        seed: of the augmented views.
    """

    encoder: VisualEncoder
    device: torch.device
    precision: torch.dtype
    layout: torch.memory_format
    grid: int
    views: int
    seed: int

    def maps(self, pixels: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The maps of some images.

        Args:
            pixels: (B, S, S) uint8.
            rows: (B,) numbers of the images, on which their augmented views depend.

        Returns:
            (B, views, channels, h, w) float16.
        """
        images = torch.from_numpy(pixels).to(self.device)
        draws = (draw(self.seed, view, rows, AugmentParams()) for view in range(1, self.views))
        looks = [to_unit(images), *(augment(images, drawn) for drawn in draws)]
        stacked: np.ndarray = torch.stack([self._map(normalise(look)) for look in looks], dim=1).cpu().numpy()
        return stacked

    def _map(self, images: Tensor) -> Tensor:
        reduced = torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)
        with torch.inference_mode(), reduced:
            return as_stored(self.encoder(images.contiguous(memory_format=self.layout)), self.grid).half()
