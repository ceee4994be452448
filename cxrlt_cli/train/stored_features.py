"""Training on stored features: is it the encoder that made them, and a network without its encoder."""

from pathlib import Path

from torch import Tensor

from cxrlt_cli.artifacts.features_file import FeatureFile
from cxrlt_cli.artifacts.run_config import RunFeatures
from cxrlt_cli.errors import UserError
from cxrlt_cli.model.encoder import VisualEncoder, weights_digest
from cxrlt_cli.model.network import Network
from cxrlt_cli.model.stored_maps import StoredMaps


def refuse_other_encoder(file: FeatureFile, encoder: str, stride: int) -> None:
    """Raises UserError where features were made by another encoder, or with another stride, than the options name."""
    made, path = file.settings, file.layout.path
    if made.encoder != encoder:
        raise UserError(f"{path} was made by {made.encoder}, --encoder is {encoder}", f"add --encoder {made.encoder}")
    if made.stride != stride:
        raise UserError(f"{path} was made with --stride {made.stride}, here it is {stride}", f"add --stride {made.stride}")


def refuse_other_weights(file: FeatureFile, encoder: VisualEncoder, weights: str) -> None:
    """Checks that an encoder has the weights that features were made with.

    Args:
        file: the features.
        encoder: as loaded, on the CPU.
        weights: what was loaded, for the message.

    Raises:
        UserError: it has others.
    """
    made = file.settings
    if weights_digest(encoder) == made.weights_sha256:
        return
    origin = f", {made.origin.described}" if made.origin else ""
    raise UserError(
        f"{file.layout.path} was made with other weights of {made.encoder}: {made.weights}{origin} "
        f"(sha256 {made.weights_sha256[:12]}); here --weights {weights} are loaded",
        "name the same weights, or make the features again: cxrlt features --overwrite",
    )


def take_out_encoder(network: Network) -> dict[str, Tensor]:
    """Puts `StoredMaps` in the place of a network's encoder; returns the encoder's weights under the network's names."""
    weights = {f"encoder.{name}": value for name, value in network.encoder.state_dict().items()}
    network.encoder = StoredMaps(network.encoder.channels)
    return weights


def features_of_run(file: FeatureFile, path: Path) -> RunFeatures:
    """What a run records of the features that it was trained on."""
    made = file.settings
    return RunFeatures(str(path), made.weights_sha256, made.grid, made.views, made.seed, made.precision)
