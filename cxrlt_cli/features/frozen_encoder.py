"""The encoder whose maps are stored: in the form in which `predict` runs it, so that both compute the same."""

from dataclasses import dataclass

import torch

from cxrlt_cli.artifacts.features_file import FeatureSettings
from cxrlt_cli.artifacts.origin import Origin
from cxrlt_cli.compute.fold_batch_norms import fold_batch_norms
from cxrlt_cli.errors import UserError
from cxrlt_cli.features.maps import MapMaker
from cxrlt_cli.model.encoder import VisualEncoder, weights_digest
from cxrlt_cli.model.network import usual_layout
from cxrlt_cli.model.stored_maps import map_size
from cxrlt_cli.model.zero_weights import ZerosInsteadOfRandom
from cxrlt_cli.train.settings import StartSettings
from cxrlt_cli.train.start_weights import load_encoder_weights, settled_weights, weights_origin


@dataclass(frozen=True)
class FrozenEncoder:
    """A loaded encoder.

    Attributes:
        network: in evaluation form, on the CPU.
        weights: what `--weights` resolved to.
        sha256: of its weights (`model.encoder.weights_digest`).
        origin: of a published encoder's weights.
        map_shape: channels, height and width of a stored map.
    """

    network: VisualEncoder
    weights: str
    sha256: str
    origin: Origin | None
    map_shape: tuple[int, int, int]


def load_frozen(name: str, weights: str, stride: int, size: int, grid: int) -> FrozenEncoder:
    """Loads an encoder.

    Args:
        name: as in `--encoder`.
        weights: as in `--weights`.
        stride: image pixels per position of the map.
        size: side of the images, px.
        grid: side of the pooled map; 0 where it is not pooled.

    Raises:
        UserError: unknown or missing encoder or weights, a size that it does not take, or a map smaller than the grid.
    """
    start = StartSettings(name, 0.0, str(stride), weights, "encoder", "head")
    settled = settled_weights(start, needed_by="cxrlt features")
    origin = weights_origin(start, settled)
    with ZerosInsteadOfRandom():
        encoder = VisualEncoder(name, 0.0, stride).eval()
    load_encoder_weights(settled, encoder)
    encoder.check_size(size)
    channels, height, width = map_size(encoder, size)
    if grid > min(height, width):
        raise UserError(
            f"--grid {grid} is larger than the map of {name}, {height} x {width} cells for images of {size} px",
            f"give --grid {min(height, width)} or less; or 0, which keeps the map as it is",
        )
    shape = (channels, grid, grid) if grid else (channels, height, width)
    return FrozenEncoder(encoder, settled, weights_digest(encoder), origin, shape)


def map_maker(
    encoder: FrozenEncoder, settings: FeatureSettings, size: int, device: torch.device, precision: torch.dtype
) -> MapMaker:
    """The encoder on a device, its batch norms folded and in the usual layout, as `predict` runs it."""
    fold_batch_norms(encoder.network)
    layout = usual_layout(device, size)
    network = encoder.network.to(device, memory_format=layout)  # type: ignore[call-overload]
    return MapMaker(network, device, precision, layout, settings.grid, settings.views, settings.seed)
