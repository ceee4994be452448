"""Pixel settings: how an image file becomes a square. Artifacts keep them, to treat new images alike."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np

from cxrlt_cli.config.grammar import check_pixels, parse_window
from cxrlt_cli.errors import UserError, reason
from cxrlt_cli.preprocess.gray_levels import check_mapping, equalize, to_8_bit
from cxrlt_cli.preprocess.read_gray import Picture, full, read_picture
from cxrlt_cli.preprocess.remarks import SPREAD, Remark, UnreadableImageError
from cxrlt_cli.preprocess.resize import Fit, Resample, in_square, middle, resize, shape_in, span_of


@dataclass(frozen=True)
class PixelSettings:
    """How an image file becomes a square of the cache.

    Attributes:
        size: side of the square, px.
        fit: `pad` keeps the whole image and its proportions, with black bars; `crop` keeps the proportions and the middle;
            `stretch` keeps the whole image but not its proportions.
        resample: the filter; `lanczos` also decodes every pixel of a JPEG first.
        window: "LOW,HIGH", the percentiles that become black and white; empty for none.
        clahe: the clip limit of the adaptive histogram equalization; 0 for none.
    """

    size: int
    fit: Fit = "pad"
    resample: Resample = "area"
    window: str = ""
    clahe: float = 0.0

    def __post_init__(self) -> None:
        """Raises UserError if a value is outside its range."""
        check_pixels(self.size, self.clahe)
        self.percentiles  # noqa: B018 - checked before any work

    @property
    def percentiles(self) -> tuple[float, float] | None:
        """The window as numbers."""
        return parse_window(self.window)

    def saved(self) -> dict[str, Any]:
        """The settings as an artifact keeps them."""
        return asdict(self)


def settings_from(saved: dict[str, Any], where: Path) -> PixelSettings:
    """The settings from the form that an artifact keeps.

    Raises:
        UserError: unknown settings.
    """
    known = {field.name for field in fields(PixelSettings)}
    sound = set(saved) == known and saved["fit"] in get_args(Fit) and saved["resample"] in get_args(Resample)
    if not sound:
        raise UserError(f"{where}: unknown pixel settings: {saved}", "use the version that made it")
    return PixelSettings(**saved)


@dataclass(frozen=True)
class Square:
    """A finished square: (size, size) uint8 pixels, and remarks about its file."""

    pixels: np.ndarray
    remarks: tuple[Remark, ...]


def read_square(path: Path, settings: PixelSettings, inverted: bool = False) -> np.ndarray:
    """The pixels of `make_square`."""
    return make_square(path, settings, inverted).pixels


def make_square(path: Path, settings: PixelSettings, inverted: bool = False) -> Square:
    """Makes the square of an image file.

    Args:
        path: see `preprocess.read_gray.read_picture`.
        settings: of the square.
        inverted: whether the file shows dense tissue dark, so that its gray values are inverted.

    Raises:
        UnreadableImageError: the file gives no gray values, or only one although its values differ, or a decoder fails.
        UserError: a DICOM file, and the extra that reads it is not installed.
    """
    try:
        return _make_square(path, settings, inverted)
    except (UnreadableImageError, UserError):
        raise
    except Exception as error:  # decoders fail in many ways, and one image must not end the work on all
        raise UnreadableImageError(f"cannot be decoded: {reason(error)}") from error


def _make_square(path: Path, settings: PixelSettings, inverted: bool) -> Square:
    def span(width: int, height: int) -> float:
        return span_of(width, height, settings.size, settings.fit)

    source = read_picture(path, full if settings.resample == "lanczos" else span)
    picture, remarks = _to_8_bit(source, settings)
    extent = source.extent
    if inverted:
        picture = 255 - picture
    if settings.fit == "crop":
        picture, extent = middle(picture), (min(extent), min(extent))
    picture = resize(picture, shape_in(*extent, settings.size, settings.fit), settings.resample, extent)
    if settings.clahe:
        picture = equalize(picture, settings.clahe)
    return Square(in_square(picture, settings.size), remarks)


def _to_8_bit(source: Picture, settings: PixelSettings) -> tuple[np.ndarray, tuple[Remark, ...]]:
    """(H, W) uint8, and the remarks about the file; of several with the same cause, the one that names the cause."""
    window = settings.percentiles
    picture = to_8_bit(source.values, window)
    said = tuple(remark for remark in source.remarks if not (window and remark is Remark.NARROW_16_BIT))
    if picture is source.values:
        return picture, said
    cause = f"--window {settings.window} leaves no other" if window else f"{SPREAD} spreads them"
    lost = check_mapping(source.values, picture, cause)
    return picture, said if set(said) & {Remark.NARROW_16_BIT, Remark.FEW_LEVELS} else said + lost
