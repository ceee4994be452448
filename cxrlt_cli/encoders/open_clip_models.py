"""Image towers of open_clip (`pip install cxrlt[open_clip]`)."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cxrlt_cli.encoders.files import read_config, required_file
from cxrlt_cli.encoders.import_timm import import_timm
from cxrlt_cli.errors import UserError, listed, reason

CONFIG = "open_clip_config.json"
_AGAIN = "fetch the encoder again, or name another"
#: In the order in which open_clip looks for them.
WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
    "pytorch_model.bin",
)


class ImageTower(nn.Module):
    """An image tower, named `visual` as in open_clip's files, that returns the map of its last block."""

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) to (B, channels, h, w), normalised by the tower's last norm; without the class token."""
        found: Tensor = self.visual.forward_intermediates(
            images, indices=1, normalize_intermediates=True, intermediates_only=True, output_fmt="NCHW"
        )["image_intermediates"][-1]
        return found


def read(folder: Path) -> tuple[dict[str, Any], list[float], list[float], bool]:
    """The tower's configuration, mean and std of each channel, and that the tower always takes three channels.

    Raises:
        UserError: open_clip is not installed, or the configuration is missing or unknown.
    """
    open_clip = import_open_clip()
    config = read_config(folder, CONFIG)
    model = config.get("model_cfg", config)
    if not isinstance(model.get("vision_cfg"), dict) or not isinstance(model.get("embed_dim"), int):
        raise UserError(f"{folder / CONFIG} does not describe an image tower", _AGAIN)
    given = {key: value for key, value in config.get("preprocess_cfg", {}).items() if key in ("mean", "std")}
    preprocessing = open_clip.transform.PreprocessCfg(**given)
    values = {"embed_dim": model["embed_dim"], "quick_gelu": bool(model.get("quick_gelu")), "vision_cfg": model["vision_cfg"]}
    return json.loads(json.dumps(values)), list(preprocessing.mean), list(preprocessing.std), False


def text_config(folder: Path) -> dict[str, Any] | None:
    """The configuration of the text tower, None where there is none. Raises UserError for a damaged file."""
    model = read_config(folder, CONFIG).get("model_cfg")
    text = model.get("text_cfg") if isinstance(model, dict) else None
    return text if isinstance(text, dict) else None


def build(values: dict[str, Any], inputs: int, drop_path: float, stride: int) -> tuple[nn.Module, int]:
    """The tower with random weights, and the channels of its map. Raises UserError as `architecture.build_network`."""
    del inputs  # always three
    if stride != 32:
        raise UserError(f"--stride {stride}: open_clip's towers do not support it", "leave out --stride")
    vision = {**values["vision_cfg"], "timm_model_pretrained": False}
    if drop_path:
        if "timm_model_name" not in vision:
            raise UserError("--drop-path: open_clip's own towers have no stochastic depth", "leave out --drop-path")
        vision["timm_drop_path"] = drop_path
    open_clip = import_open_clip()
    try:
        visual = open_clip.model._build_vision_tower(values["embed_dim"], vision, values["quick_gelu"])
    except Exception as error:
        raise UserError(f"open_clip cannot build the image tower: {reason(error)}", _AGAIN) from error
    if hasattr(visual, "trunk"):
        return ImageTower(visual), int(visual.trunk.num_features)
    width = vision.get("width", 768)
    return ImageTower(visual), int(width * 32 if isinstance(vision.get("layers"), list) else width)


def features(network: Any, images: Tensor) -> Tensor:
    """The map of (B, 3, S, S) images; positions are interpolated as open_clip does when it loads weights for another size.

    Args:
        network: an `ImageTower`.
        images: in the network's range.
    """
    positions = getattr(network.visual, "positional_embedding", None)
    side = images.shape[-1] // getattr(network.visual, "patch_size", (1, 1))[0]
    if positions is None or not hasattr(network.visual, "conv1") or positions.shape[0] == side**2 + 1:
        found: Tensor = network(images)
        return found
    before = round((positions.shape[0] - 1) ** 0.5)
    grid = positions[1:].reshape(1, before, before, -1).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid.float(), (side, side), mode="bicubic", antialias=True, align_corners=False)
    resized = torch.cat([positions[:1], grid.permute(0, 2, 3, 1).reshape(side**2, -1).to(positions.dtype)])
    maps: Tensor = torch.func.functional_call(network, {"visual.positional_embedding": resized}, (images,))
    return maps


def weights(folder: Path) -> dict[str, Tensor]:
    """The published weights of the image tower. Raises UserError where they are missing, damaged or incomplete."""
    path = required_file(folder, WEIGHTS)
    try:
        state = import_open_clip().factory.load_state_dict(str(path))
    except Exception as error:
        raise UserError(f"{path}: the weights cannot be read: {reason(error)}", _AGAIN) from error
    found = {key: value.float() for key, value in state.items() if key.startswith("visual.")}
    if not found:
        raise UserError(f"{path} holds no image tower (found: {listed(state, 3)})", _AGAIN)
    return found


def import_open_clip() -> Any:
    """The library. Raises UserError where it is not installed."""
    try:
        import_timm()  # open_clip imports it
        import open_clip
        import open_clip.transform
    except ImportError as error:
        raise UserError(f"this encoder needs open_clip: {reason(error)}", "pip install 'cxrlt[open_clip]'") from None
    return open_clip
