"""The architecture of a published encoder as plain values, so that a checkpoint can rebuild it without its files."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from cxrlt_cli.config.encoder_name import EncoderName
from cxrlt_cli.encoders import open_clip_models, timm_models, transformers_models, xrv_models
from cxrlt_cli.encoders.files import encoder_folder, required_file
from cxrlt_cli.errors import UserError

#: Library -> the module that reads, builds and runs its networks.
_MODULES: dict[str, Any] = {
    "transformers": transformers_models,
    "timm": timm_models,
    "open_clip": open_clip_models,
    "xrv": xrv_models,
}


@dataclass(frozen=True)
class Architecture:
    """A published encoder.

    Attributes:
        library: transformers, timm, open_clip or xrv.
        values: what the library builds the network from.
        mean, std: a gray value g of 0..1 enters the network as (g - mean) / std; three numbers where the channels differ.
        inputs: channels of the network's first convolution.
    """

    library: str
    values: dict[str, Any]
    mean: list[float]
    std: list[float]
    inputs: int

    def saved(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def read_architecture(name: EncoderName) -> Architecture:
    """Reads the architecture and the preprocessing of a published encoder from its files.

    If the preprocessing is the same in all three channels, the first convolution takes one channel: its weights are summed over
    the input channels, which is exact for gray images. Otherwise the network gets three channels.

    Raises:
        UserError: the files are not on this machine or incomplete, the library is not installed, or the files do not
            describe an image encoder.
    """
    module = _MODULES[name.library]
    source = encoder_folder(name) if name.place != "name" else name.source
    values, mean, std, foldable = module.read(source)
    if len(set(mean)) == len(set(std)) == 1:
        return Architecture(name.library, values, mean[:1], std[:1], 1 if foldable else 3)
    return Architecture(name.library, values, mean, std, 3)


def build_network(architecture: Architecture, drop_path: float, stride: int) -> tuple[nn.Module, int]:
    """Builds the network with random weights.

    Args:
        architecture: what to build.
        drop_path: stochastic depth of the last block.
        stride: image pixels per position; 32 leaves the network as it is.

    Returns:
        The network, and the channels of its feature map.

    Raises:
        UserError: the library is not installed or cannot build it, or it lacks stochastic depth or the stride.
    """
    found: tuple[nn.Module, int] = _MODULES[architecture.library].build(
        architecture.values, architecture.inputs, drop_path, stride
    )
    return found


def feature_map(library: str) -> Callable[[nn.Module, Tensor], Tensor]:
    """The library's function from (network, (B, inputs, S, S) images in the network's range) to (B, channels, h, w)."""
    found: Callable[[nn.Module, Tensor], Tensor] = _MODULES[library].features
    return found


def published_weights(name: EncoderName) -> dict[str, Tensor]:
    """The weights that were published with an encoder, under the names of `build_network`, with three input channels.

    Raises:
        UserError: the file is not there, damaged, or does not hold all weights of the network.
    """
    if not name.published:
        raise UserError(f"{name.text} has no weights of its own", "give --weights imagenet, FILE or RUN")
    module = _MODULES[name.library]
    found: dict[str, Tensor] = module.weights(encoder_folder(name) if name.place != "name" else name.source)
    return found


def require_weights(name: EncoderName) -> None:
    """Raises UserError where the weights of a published encoder are not on this machine; they are not read."""
    if name.place == "name":
        xrv_models.required_weights(name.source)
    else:
        required_file(encoder_folder(name), _MODULES[name.library].WEIGHTS)
