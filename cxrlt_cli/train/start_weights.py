"""Starting weights: resolves `--weights auto`, checks and loads weights."""

from contextlib import suppress
from pathlib import Path

from torch import Tensor

from cxrlt_cli.artifacts.data_sources import DataSource
from cxrlt_cli.artifacts.origin import Origin
from cxrlt_cli.artifacts.run import Run, read_checkpoint
from cxrlt_cli.artifacts.run_config import data_sources_of_file, read_best
from cxrlt_cli.config.encoder_name import parse_encoder
from cxrlt_cli.console import say, warn
from cxrlt_cli.encoders.architecture import published_weights
from cxrlt_cli.encoders.origin import read_origin
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.model.encoder import VisualEncoder, encoder_names
from cxrlt_cli.model.imagenet import imagenet_file
from cxrlt_cli.model.label_queries import LabelQueries
from cxrlt_cli.model.load_weights import load_encoder, load_weights
from cxrlt_cli.model.network import Network
from cxrlt_cli.model.zero_weights import ZerosInsteadOfRandom
from cxrlt_cli.paths import is_file, is_folder
from cxrlt_cli.train.settings import StartSettings


def settled_weights(settings: StartSettings, needed_by: str = "") -> str:
    """What `--weights` resolves to on this machine.

    `auto` is `pretrained`, the encoder's own weights, for a published encoder; else imagenet where torch's cache has the file,
    else none. The choice is printed; a random start gets a warning. An encoder that does not exist gets no warning, since
    building it fails with a message of its own.

    Args:
        settings: the encoder.
        needed_by: what makes no sense with random weights, for the message; empty: a frozen or adapted encoder, as the settings
            say.

    Returns:
        `none`, `imagenet`, `pretrained`, or the file or run that the flag names.

    Raises:
        UserError: `auto` resolves to none, and a frozen or adapted encoder needs weights.
    """
    published = parse_encoder(settings.encoder).published
    if published and settings.weights in ("auto", "pretrained"):
        return "pretrained"
    if settings.weights == "imagenet" and published:
        raise UserError(
            f"--weights imagenet: {settings.encoder} comes with weights of its own", "--weights pretrained, or auto"
        )
    if settings.weights != "auto":
        return settings.weights
    name = settings.encoder
    with suppress(UserError):
        say(f"the encoder starts from its ImageNet weights: {imagenet_file(name)}")
        return "imagenet"
    if name in encoder_names():
        missing = f"the ImageNet weights of {name} are not in torch's cache"
        instead = f"on a machine with internet, run `cxrlt fetch --backbone {name}`"
    elif name.startswith("timm:"):
        missing, instead = f"there are no known ImageNet weights of {name}", "give a file of weights: --weights FILE"
        instead += ", or take a network of the hub: --encoder timm:hf-hub:timm/NAME.TAG"
    else:
        return "none"
    if not needed_by and (settings.tune != "full" or settings.freeze == "encoder"):
        needed_by = "--freeze encoder" if settings.tune == "full" else f"--tune {settings.tune}"
    if needed_by:
        raise UserError(f"{needed_by} needs pretrained weights, and {missing}", instead)
    warn(f"the encoder starts from random weights: {missing}; {instead}")
    return "none"


def weights_origin(settings: StartSettings, weights: str) -> Origin | None:
    """Repository, revision and licence of the weights that a published encoder starts from; None for other weights.

    It is printed; a gated repository or a non-commercial licence gets a warning.

    Raises:
        UserError: the encoder is not on this machine.
    """
    if weights != "pretrained":
        return None
    origin = read_origin(parse_encoder(settings.encoder))
    say(f"the encoder starts from its published weights: {origin.described}")
    if origin.restriction:
        warn(f"{settings.encoder}: {origin.restriction}; networks trained from it are bound by the same terms")
    return origin


def data_sources_of_start(weights: str) -> list[DataSource] | None:
    """What the run learned from whose weights are loaded, as a folder or a checkpoint; nothing for weights of another origin.

    Args:
        weights: what `settled_weights` returned.

    Returns:
        The sources; None where the run does not record them.

    Raises:
        UserError: the run is not there or damaged.
    """
    path = Path(weights)
    if weights in ("none", "imagenet", "pretrained"):
        return []
    if is_folder(path):
        return read_best(Run(path)).config.data_sources
    return data_sources_of_file(path) if is_file(path) else []


def check_start(weights: str, settings: StartSettings, size: int) -> None:
    """Loads into an encoder that is thrown away again what `settled_weights` names.

    Args:
        weights: what to load.
        settings: the encoder.
        size: side of the images, px.

    Raises:
        UserError: the weights are not there, or are of another network, or the encoder does not accept images of this size.
    """
    if weights == "imagenet":
        imagenet_file(settings.encoder)
    published = parse_encoder(settings.encoder).published
    if weights == "none" and not published:
        return
    with ZerosInsteadOfRandom():
        encoder = VisualEncoder(settings.encoder, settings.drop_path, int(settings.stride))
    if weights != "none":
        load_encoder_weights(weights, encoder)
    if published:
        encoder.check_size(size)


def load_start(weights: str, network: Network) -> None:
    """Loads the weights that `settled_weights` names: of the encoder; from a run, all tensors of equal shape but label texts.

    Raises:
        UserError: the weights are missing, or of another network.
    """
    if weights == "none":
        return
    state = load_encoder_weights(weights, network.encoder)
    if state:
        texts = _label_texts(network)
        own = {key: value for key, value in network.state_dict().items() if key not in texts}
        same = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
        fresh = [key for key in own if key not in same]
        network.load_state_dict(same, strict=False)
        more = f": {listed(fresh, 3)}" if fresh else ""
        say(f"{Run(Path(weights)).best}: {len(same)} tensors loaded, {len(fresh)} start at random{more}")


def _label_texts(network: Network) -> set[str]:
    """The tensors that hold label texts: they stay those of this run, the other run may have had other labels or texts."""
    queries = {name: part for name, part in network.named_modules(remove_duplicate=False) if isinstance(part, LabelQueries)}
    return {f"{name}.{buffer}" for name, part in queries.items() for buffer, _ in part.named_buffers()}


def load_encoder_weights(weights: str, encoder: VisualEncoder) -> dict[str, Tensor]:
    """Loads what `settled_weights` names into an encoder; returns all tensors of a run, or none if they are not of a run.

    Raises:
        UserError: the weights are missing, damaged or of another network.
    """
    if weights == "imagenet":
        load_encoder(encoder, imagenet_file(encoder.name))
    elif weights == "pretrained":
        load_weights(encoder, published_weights(parse_encoder(encoder.name)), Path(encoder.name))
    elif is_folder(Path(weights)):
        path = Run(Path(weights)).best
        state: dict[str, Tensor] = read_checkpoint(path, ["model"])["model"]
        load_weights(encoder, {key: value for key, value in state.items() if key.startswith("encoder.")}, path)
        return state
    else:
        load_encoder(encoder, Path(weights))
    return {}
