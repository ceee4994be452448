"""Image encoders of timm: built-in networks, and folders or repositories of the hub with config.json and weights."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from cxrlt_cli.encoders.files import read_config, required_file
from cxrlt_cli.encoders.import_timm import import_timm
from cxrlt_cli.errors import UserError, nearest, reason

WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.bin")


def read(folder: Path) -> tuple[dict[str, Any], list[float], list[float], bool]:
    """Architecture and arguments of a folder, mean and std of each channel, and that any number of channels is taken.

    Raises:
        UserError: files are missing, or timm does not know the architecture.
    """
    timm = import_timm()
    from timm.data.config import resolve_model_data_config

    config = read_config(folder, "config.json")
    name = config.get("architecture")
    if not isinstance(name, str) or not timm.is_model(name):
        raise UserError(
            f"{folder}/config.json names no architecture of timm: {name!r}",
            "a model of transformers is named hf:OWNER/NAME, or by its folder",
        )
    try:
        network = timm.create_model(f"local-dir:{folder}", pretrained=False, num_classes=0)
        preprocessing = resolve_model_data_config(network)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise UserError(f"{folder} cannot be loaded as a network of timm: {reason(error)}", "name another --encoder") from error
    arguments = {key: value for key, value in config.get("model_args", {}).items() if key not in ("num_classes", "in_chans")}
    return {"name": name, "arguments": arguments}, *_channels(preprocessing["mean"], preprocessing["std"]), True


def build(values: dict[str, Any], inputs: int, drop_path: float, stride: int) -> tuple[nn.Module, int]:
    """The network with random weights, and the channels of its map. Raises UserError as `architecture.build_network`."""
    network: Any = create(values["name"], drop_path, stride, {"in_chans": inputs, "num_classes": 0, **values["arguments"]})
    return network, int(network.num_features)


def create(name: str, drop_path: float, stride: int, options: dict[str, Any]) -> nn.Module:
    """A network of timm with random weights; vision transformers accept images of any size that the patches divide.

    Raises:
        UserError: timm is not installed, does not have it, or it lacks stochastic depth or the stride.
    """
    try:
        timm = import_timm()
    except ImportError:
        raise UserError(f"--encoder timm:{name} needs timm, which is not installed", "pip install timm") from None
    if name not in timm.list_models():
        raise UserError(
            f"timm does not have {name!r}{nearest(name, timm.list_models())}",
            "list its networks: python -c 'import timm; print(timm.list_models())'",
        )
    if drop_path:
        options = {**options, "drop_path_rate": drop_path}
    if stride != 32:
        options = {**options, "output_stride": stride}
    options = {**options, "pretrained": False}
    try:
        try:
            network: nn.Module = timm.create_model(name, **{"dynamic_img_size": True, **options})
        except TypeError:
            network = timm.create_model(name, **options)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise UserError(
            f"timm:{name} cannot be used as an encoder: {reason(error)}",
            "choose another, or leave out --drop-path and --stride",
        ) from error
    return network


def features(network: Any, images: Tensor) -> Tensor:
    """(B, C, S, S) images to the (B, channels, h, w) map; class and register tokens are left out."""
    found = network.forward_features(images)
    channels = network.num_features
    if found.dim() == 3:
        tokens = found[:, getattr(network, "num_prefix_tokens", 0) :]
        side = round(tokens.shape[1] ** 0.5)
        found = tokens.transpose(1, 2).reshape(tokens.shape[0], channels, side, side)
    maps: Tensor = found if found.shape[1] == channels else found.permute(0, 3, 1, 2)
    return maps


def weights(folder: Path) -> dict[str, Tensor]:
    """The published weights, read by timm. Raises UserError where they are missing, damaged or of another network."""
    timm = import_timm()
    required_file(folder, WEIGHTS)
    try:
        network: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0, in_chans=3)
        return network.state_dict()
    except Exception as error:
        raise UserError(f"{folder}: the weights cannot be read: {reason(error)}", "fetch the encoder again") from error


def _channels(mean: Any, std: Any) -> tuple[list[float], list[float]]:
    """Three values each; timm gives one for networks of gray images."""
    return [float(value) for value in mean] * (3 // len(mean)), [float(value) for value in std] * (3 // len(std))
