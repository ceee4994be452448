"""`predict --zero-shot`: scores of a model of images and texts, by the cosine of an image with the texts of a label."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from cxrlt_cli.artifacts.predictions import ZeroShotModel
from cxrlt_cli.config.encoder_name import EncoderName
from cxrlt_cli.console import say, warn
from cxrlt_cli.data.augment import MEAN, STD
from cxrlt_cli.encoders.origin import read_origin
from cxrlt_cli.encoders.two_towers import TwoTowers, read_two_towers, text_directions
from cxrlt_cli.predict.merge import merge_logits
from cxrlt_cli.predict.other_labels import label_prompts
from cxrlt_cli.predict.score import in_views
from cxrlt_cli.predict.tta import View
from cxrlt_cli.preprocess.resize import Fit
from cxrlt_cli.preprocess.settings import PixelSettings

#: How open_clip makes a square -> the same in the cache's settings.
_FITS: dict[str, Fit] = {"shortest": "crop", "longest": "pad", "squash": "stretch"}


class ZeroShot(nn.Module):
    """A model of images and texts that scores the texts of some labels.

    The logit of a label is scale * cosine + bias: scale and bias are the model's own, and the bias is 0 where it has none.
    """

    def __init__(self, towers: TwoTowers, directions: Tensor) -> None:
        """Keeps the image tower and the labels.

        Args:
            towers: the model.
            directions: (C, D) of length 1, of the labels' texts.
        """
        super().__init__()
        self.network, self.factor, self.offset = towers.network, towers.scale, towers.bias
        mean, std = (torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1) for values in (towers.mean, towers.std))
        self.directions: Tensor
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("directions", directions)
        self.register_buffer("scale", (STD / std).float())
        self.register_buffer("shift", ((MEAN - mean) / std).float())

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) images, normalised by MEAN and STD, to (B, C) float32 logits.

        Each label is scored by itself: in a product of matrices the last digits would depend on how many labels there are.
        """
        seen = self.network.encode_image(images * self.scale + self.shift, normalize=True)
        with torch.autocast(images.device.type, enabled=False):
            seen = nn.functional.normalize(seen.float(), dim=1)
            cosines = [(seen * direction).sum(dim=1) for direction in self.directions]
            return self.factor * torch.stack(cosines, dim=1) + self.offset


class ZeroShotScorer:
    """Scores batches of images with a model of images and texts.

    Attributes:
        described: the model, its origin and the texts.
        classes: names.
        files: that were read: the weights and the labels.
        settings: how squares are made of image files, as the model's own preprocessing does; the filter is Lanczos.
    """

    def __init__(self, name: EncoderName, labels: Path, device: torch.device) -> None:
        """Reads the model and encodes the texts of the labels.

        Args:
            name: of a model of open_clip.
            labels: a CSV with the columns class, prompt and, optionally, description.
            device: of the scores.

        Raises:
            UserError: see `label_prompts` and `read_two_towers`.
        """
        prompts = label_prompts(labels, "both")
        towers = read_two_towers(name)
        towers.network.to(device)
        origin = read_origin(name)
        say(f"scores without training: {origin.described}")
        if origin.restriction:
            warn(f"{name.text}: {origin.restriction}")
        self.described, self.classes = ZeroShotModel(name.text, origin, prompts), list(prompts)
        self.files = [towers.weights, labels]
        self.settings = PixelSettings(towers.size, fit=_FITS[towers.resize_mode], resample="lanczos")
        self._filter = Image.Resampling.BILINEAR if towers.interpolation == "bilinear" else Image.Resampling.BICUBIC
        self._network = ZeroShot(towers, text_directions(towers, list(prompts.values()))).to(device)
        self._device, self._warned = device, False

    def score(
        self,
        views: tuple[View, ...],
        merge: str,
        precision: torch.dtype,
        images: Tensor,
        _studies: np.ndarray | None = None,
    ) -> np.ndarray:
        """Scores a batch.

        Args:
            views: of test-time augmentation.
            merge: of views: geomean, mean or logits.
            precision: of convolutions and products.
            images: (B, S, S) uint8 of any size; another than the model's is resized as the model's own preprocessing does, and
                a smaller one with a warning.

        Returns:
            (B, C) float32 logits.
        """
        images = self._resized(images).to(self._device, non_blocking=True)
        reduced = torch.autocast(self._device.type, precision, enabled=precision != torch.float32)
        with torch.inference_mode(), reduced:
            logits = in_views(self._network, images, views).cpu().numpy()
        return logits[0] if len(views) == 1 else merge_logits(logits, merge).astype(np.float32)

    def _resized(self, images: Tensor) -> Tensor:
        side = self.settings.size
        if images.shape[-1] == side:
            return images
        if images.shape[-1] < side and not self._warned:
            self._warned = True
            warn(
                f"images of {images.shape[-1]} px are enlarged to the {side} px that the model takes: "
                f"cache with --size {side}, or score the files with --images"
            )
        squares = [Image.fromarray(image).resize((side, side), self._filter) for image in images.cpu().numpy()]
        return torch.from_numpy(np.stack([np.asarray(square) for square in squares]))
