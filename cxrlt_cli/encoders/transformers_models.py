"""Image encoders of Hugging Face transformers: AutoBackbone's network where there is one, else the last hidden state."""

import inspect
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cxrlt_cli.console import quiet_transformers
from cxrlt_cli.encoders.files import read_config, required_file
from cxrlt_cli.errors import UserError, listed, reason

_AGAIN = "fetch the encoder again, or name another"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
#: Weights that a checkpoint may lack: heads that the feature map does not pass, and norms that AutoBackbone adds as identity.
_UNUSED = ("pooler", "head.", "mask_token", "hidden_states_norms")
_LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def read(folder: Path) -> tuple[dict[str, Any], list[float], list[float], bool]:
    """The configuration of the image tower, mean and std of each channel, and whether it takes any number of channels.

    Raises:
        UserError: files are missing, it is not an image encoder, or its preprocessing is not a scale and an offset.
    """
    config = _tower_config(folder)
    mean, std = _mean_and_std(folder)
    values = json.loads(config.to_json_string(use_diff=False))
    for key in ("_name_or_path", "transformers_version", "architectures"):
        values.pop(key, None)
    return values, mean, std, hasattr(config, "num_channels")


def build(values: dict[str, Any], inputs: int, drop_path: float, stride: int) -> tuple[nn.Module, int]:
    """The network with random weights, and the channels of its map. Raises UserError as `architecture.build_network`."""
    from transformers import CONFIG_MAPPING, AutoBackbone, AutoModel

    kind = values["model_type"]
    if kind not in CONFIG_MAPPING:
        raise UserError(f"this version of transformers does not know {kind!r}", "pip install --upgrade transformers")
    if stride != 32:
        raise UserError(f"--stride {stride}: transformers' {kind} does not support it", "leave out --stride")
    config = CONFIG_MAPPING[kind].from_dict({**values, "num_channels": inputs} if "num_channels" in values else values)
    if drop_path:
        if not hasattr(config, "drop_path_rate"):
            raise UserError(f"--drop-path: transformers' {kind} has no stochastic depth", "leave out --drop-path")
        config.drop_path_rate = drop_path
    kind_of_network: Any = AutoBackbone if _has_backbone(config) else AutoModel
    with quiet_transformers():
        network = kind_of_network.from_config(config, dtype=torch.float32)
    if getattr(network, "main_input_name", "") != "pixel_values":
        raise UserError(
            f"transformers' {kind} is not an image encoder", "name an image encoder, or a model with an image tower"
        )
    return network, _channels(network, config)


def features(network: Any, images: Tensor) -> Tensor:
    """(B, C, S, S) images to the (B, channels, h, w) map; class and register tokens are left out.

    Positions are interpolated by the library where the images have another size than those it was trained on.

    Raises:
        UserError: the network's output has no spatial map.
    """
    if hasattr(network.config, "stage_names") and hasattr(network, "out_features"):
        maps: Tensor = network(pixel_values=images).feature_maps[-1]
        return maps
    options = {"interpolate_pos_encoding": True} if _interpolates(type(network)) else {}
    hidden: Tensor = network(pixel_values=images, **options).last_hidden_state
    if hidden.dim() == 4:
        return hidden
    patch = getattr(network.config, "patch_size", 0)
    side = images.shape[-1] // patch if isinstance(patch, int) and patch else 0
    leading = hidden.shape[1] - side**2  # class, distillation and register tokens come before the patches
    if hidden.dim() != 3 or not side or not 0 <= leading <= 2 + getattr(network.config, "num_register_tokens", 0):
        raise UserError(f"transformers' {network.config.model_type} has no spatial feature map", "name another --encoder")
    return hidden[:, leading:].transpose(1, 2).reshape(hidden.shape[0], -1, side, side)


def weights(folder: Path) -> dict[str, Tensor]:
    """The published weights of the image tower. Raises UserError where they are missing, damaged or incomplete."""
    from transformers import AutoModel
    from transformers.models.auto.modeling_auto import MODEL_FOR_BACKBONE_MAPPING

    required_file(folder, WEIGHTS)
    config = _tower_config(folder)
    # AutoBackbone.from_pretrained asks the hub whether the folder is a repository there; the class it would take does not
    kind: Any = MODEL_FOR_BACKBONE_MAPPING[type(config)] if _has_backbone(config) else AutoModel
    try:
        with quiet_transformers():
            network, info = kind.from_pretrained(
                str(folder),
                config=config,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # listed below
                dtype=torch.float32,
                local_files_only=True,
            )
    except Exception as error:
        raise UserError(f"{folder} cannot be loaded as an image encoder: {reason(error)}", _AGAIN) from error
    absent = sorted(key for key in info["missing_keys"] if not any(unused in key for unused in _UNUSED))
    absent += sorted(str(key) for key, *_ in info["mismatched_keys"])
    if absent:
        raise UserError(f"{folder}: the weights belong to another network, they lack {listed(absent, 3)}", _AGAIN)
    state: dict[str, Tensor] = network.state_dict()
    return state


def _tower_config(folder: Path) -> Any:
    """The configuration of the network; of a model of images and texts, that of its image tower, its last stage asked for."""
    from transformers import AutoConfig

    hint = "a folder of timm is named timm:local-dir:PATH, a repository of timm timm:hf-hub:OWNER/NAME"
    if "model_type" not in read_config(folder, "config.json"):
        raise UserError(f"{folder} is not a model of transformers: its config.json names no model_type", hint)
    try:
        config = AutoConfig.from_pretrained(str(folder), **_LOCAL)
    except Exception as error:
        raise UserError(f"{folder} is not a model of transformers: {reason(error)}", hint) from error
    config = getattr(config, "vision_config", None) or config
    if _has_backbone(config):
        config.out_features = [config.stage_names[-1]]
    return config


def _has_backbone(config: Any) -> bool:
    from transformers.models.auto.modeling_auto import MODEL_FOR_BACKBONE_MAPPING

    return type(config) in MODEL_FOR_BACKBONE_MAPPING


def _mean_and_std(folder: Path) -> tuple[list[float], list[float]]:
    """Measured: what the library's own preprocessing, without resizing, makes of black, dark gray and white images."""
    import numpy as np
    from transformers import AutoImageProcessor

    required_file(folder, ("preprocessor_config.json", "processor_config.json"))
    options: dict[str, Any] = {"do_resize": False, "do_center_crop": False, "do_pad": False, "return_tensors": "pt"}
    try:
        with quiet_transformers():
            processor: Any = AutoImageProcessor.from_pretrained(str(folder), **_LOCAL)  # type: ignore[no-untyped-call]
            grays = [np.full((32, 32, 3), gray, dtype=np.uint8) for gray in (0, 51, 255)]
            dark, gray, bright = (processor(image, **options)["pixel_values"].reshape(3, -1)[:, 0].double() for image in grays)
    except Exception as error:
        raise UserError(f"{folder}: its preprocessing cannot be used: {reason(error)}", _AGAIN) from error
    scale = bright - dark
    if not torch.allclose(dark + scale * 0.2, gray, atol=1e-4 * float(scale.abs().max())) or not bool((scale > 0).all()):
        raise UserError(f"{folder}: its preprocessing is not a scale and an offset of gray values", "name another --encoder")
    return (-dark / scale).tolist(), (1 / scale).tolist()


def _interpolates(kind: type) -> bool:
    return "interpolate_pos_encoding" in inspect.signature(kind.forward).parameters  # type: ignore[attr-defined]


def _channels(network: Any, config: Any) -> int:
    if hasattr(network, "channels"):
        return int(network.channels[-1])
    sizes = getattr(config, "hidden_sizes", None)
    return int(sizes[-1] if sizes else getattr(config, "hidden_size", getattr(config, "hidden_dim", 0)))
