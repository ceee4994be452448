"""Loads external weights: state dicts of torchvision and timm, checkpoints of training scripts, older layer names."""

import warnings
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from cxrlt_cli.errors import Stopped, UserError, listed, reason
from cxrlt_cli.model.encoder import VisualEncoder
from cxrlt_cli.paths import refuse_no_file

_HINT = "give a state dict of the same --encoder (.pth or .safetensors), a run with it, or --weights none"


def load_encoder(encoder: VisualEncoder, path: Path) -> None:
    """Loads weights of the same network (with three input channels or one) from a file of torch or safetensors.

    A three-channel stem is summed into one channel, which is exact for gray images.

    Raises:
        UserError: the file is not readable, or holds weights of another network or numbers that are not finite.
    """
    refuse_no_file(path, _HINT)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's warnings about unusual files; an error is reported below
            safe = path.suffix == ".safetensors"
            state = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except Stopped:
        raise
    except Exception as error:  # a damaged archive makes torch raise nearly anything
        raise UserError(f"{path} cannot be read as weights: {reason(error)}", _HINT) from error
    for key in ("state_dict", "model"):  # common layouts of training scripts
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise UserError(f"{path} is not a state dict", _HINT)
    load_weights(encoder, state, path)


def load_weights(encoder: VisualEncoder, state: dict[str, Tensor], path: Path) -> None:
    """Loads a state dict of the same network into an encoder; `path` is its origin. Raises UserError as `load_encoder`."""
    own = encoder.network.state_dict()
    state = _with_one_channel(_renamed(state, encoder), own)
    absent = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    other = [key for key in own if key in state and not _fits(state[key], own[key])]
    if absent or other:
        raise UserError(f"{path} holds weights of a different network: {listed([*absent, *other], 3)}", _HINT)
    wrong = [key for key in own if key in state and not torch.isfinite(state[key]).all()]
    if wrong:
        raise UserError(f"{path} holds weights that are not finite: {listed(wrong, 3)}", "its training diverged: take another")
    encoder.network.load_state_dict({key: state[key] for key in own if key in state}, strict=False)


def _fits(value: Tensor, own: Tensor) -> bool:
    return value.shape == own.shape and value.layout == torch.strided and not value.is_complex()


def _renamed(state: dict[str, Tensor], encoder: VisualEncoder) -> dict[str, Tensor]:
    """The state with the network's names: without prefixes of wrappers, and with the present names of old layers."""
    if set(encoder.network.state_dict()) <= set(state):
        return state
    own = getattr(encoder.network, "base_model_prefix", "") or encoder.torchvision or encoder.name
    for prefix in ("module.", "encoder.network.", f"{own}.", "model."):
        if any(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    if "_conv_stem.weight" in state:
        return {_timms_key(key, list(encoder.network.state_dict())): value for key, value in state.items()}
    if encoder.torchvision.startswith("densenet"):
        return {_new_key(key.removeprefix("features.")): value for key, value in state.items()}
    return state


def _with_one_channel(state: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    folded = {
        key: state[key].sum(dim=1, keepdim=True)
        for key, value in own.items()
        if key in state and value.dim() == state[key].dim() == 4 and value.shape[1] == 1 and state[key].shape[1] == 3
    }
    return {**state, **folded}


def _new_key(key: str) -> str:
    """Old DenseNet files, including torchvision's published ones, name `norm1.weight` as `norm.1.weight`."""
    for name in ("norm", "relu", "conv"):
        for number in ("1", "2"):
            key = key.replace(f".{name}.{number}.", f".{name}{number}.")
    return key


def _timms_key(key: str, own: list[str]) -> str:
    """EfficientNet-PyTorch's name of a layer (`_blocks.4._expand_conv.weight`, blocks counted through) as timm's."""
    outer = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
    first, *rest = key.split(".")
    if first != "_blocks":
        return ".".join([outer.get(first, first), *rest])
    blocks = list(
        dict.fromkeys(name.rsplit(".conv_", 1)[0] for name in own if name.startswith("blocks.") and ".conv_dw." in name)
    )
    number, layer, *last = rest
    block = blocks[int(number)] if int(number) < len(blocks) else f"blocks.{number}"
    expands = f"{block}.conv_pwl.weight" in own
    names = {
        "_expand_conv": "conv_pw",
        "_depthwise_conv": "conv_dw",
        "_project_conv": "conv_pwl" if expands else "conv_pw",
        "_bn0": "bn1",
        "_bn1": "bn2" if expands else "bn1",
        "_bn2": "bn3" if expands else "bn2",
        "_se_reduce": "se.conv_reduce",
        "_se_expand": "se.conv_expand",
    }
    return ".".join([block, names.get(layer, layer), *last])
