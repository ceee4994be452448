"""How pixels are made, and what of it an artifact keeps so that the same is done to new images."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from cxrlt_cli.errors import UserError
from cxrlt_cli.pixels.gray import read_gray
from cxrlt_cli.pixels.square import Fit, to_square


@dataclass(frozen=True)
class PixelSettings:
    """How an image file becomes the cached square.

    Attributes:
        size: side of the square, px.
        fit: see `pixels.square.to_square`.
        resample: the filter.
    """

    size: int
    fit: Fit
    resample: str = "lanczos"

    def saved(self) -> dict[str, Any]:
        """The plain values that an artifact keeps."""
        return asdict(self)


def settings_from(saved: dict[str, Any], where: Path) -> PixelSettings:
    """The settings that an artifact keeps.

    Raises:
        UserError: they name something that this version does not do.
    """
    ours = PixelSettings(size=int(saved.get("size", 0)), fit=saved.get("fit", "pad"))
    if saved != ours.saved() or ours.size < 1 or ours.fit not in get_args(Fit):
        raise UserError(
            f"{where}: pixels were made in a way that this cxrlt does not know: {saved}", "use the version it names"
        )
    return ours


def read_square(path: Path, settings: PixelSettings) -> np.ndarray:
    """(size, size) uint8 of an image file. Raises UnreadableImageError where it cannot be read."""
    return to_square(read_gray(path), settings.size, settings.fit)
