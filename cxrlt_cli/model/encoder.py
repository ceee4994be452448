"""Visual encoders: torchvision's and timm's networks up to their last feature map, with a stem for one gray channel."""

import pickle
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from cxrlt_cli.errors import UserError, listed, nearest, reason

_RESNETS = ("resnet", "resnext", "wide_resnet")
_WITH_FEATURES = ("convnext", "efficientnet", "mobilenet", "swin")


def encoder_names() -> list[str]:
    """The networks of torchvision that have a feature map and are known here."""
    families = (*_RESNETS, "densenet", *_WITH_FEATURES)
    return [name for name in torchvision.models.list_models(module=torchvision.models) if name.startswith(families)]


class VisualEncoder(nn.Module):
    """Features before pooling.

    Attributes:
        channels: of the feature map.
    """

    def __init__(self, name: str, drop_path: float = 0.0) -> None:
        """Builds the network with random weights.

        Args:
            name: of torchvision, or `timm:NAME`.
            drop_path: the share of residual branches that are left out in training (stochastic depth; Huang et al., ECCV 2016),
                rising to this from the first block to the last.

        Raises:
            UserError: no such network, or one without stochastic depth where that is asked for.
        """
        super().__init__()
        self.name = name
        self.network: Any
        if name.startswith("timm:"):
            self.network = _timm(name.removeprefix("timm:"), drop_path)
            self.channels: int = self.network.num_features
            return
        if name not in encoder_names():
            near = nearest(name, encoder_names())
            raise UserError(
                f"--encoder {name!r} is no encoder{near}", f"torchvision's {listed(encoder_names(), 80)}; or timm:NAME"
            )
        if drop_path and not name.startswith(_WITH_FEATURES[:2] + _WITH_FEATURES[3:]):
            raise UserError(
                f"--drop-path: {name} has no stochastic depth", "convnext, efficientnet, swin and most of timm have"
            )
        options = {"stochastic_depth_prob": drop_path} if drop_path else {}
        network = getattr(torchvision.models, name)(weights=None, **options)
        if name.startswith("densenet"):
            self.channels = network.classifier.in_features
            self.network = network.features
        elif name.startswith(_RESNETS):
            self.channels = network.fc.in_features
            del network.fc, network.avgpool
            self.network = network
        else:
            self.channels = _head_width(network)
            self.network = network
        _take_one_channel(self.network)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) normalised images to (B, channels, h, w) features, h and w being S/32 for most networks."""
        net = self.network
        if self.name.startswith("timm:"):
            return _as_map(net.forward_features(images), getattr(net, "num_prefix_tokens", 0), self.channels)
        if self.name.startswith("densenet"):
            return functional.relu(net(images))
        if self.name.startswith("swin"):
            rows: Tensor = net.norm(net.features(images)).permute(0, 3, 1, 2)
            return rows
        if self.name.startswith(_WITH_FEATURES):
            found: Tensor = net.features(images)
            return found
        x = net.maxpool(net.relu(net.bn1(net.conv1(images))))
        features: Tensor = net.layer4(net.layer3(net.layer2(net.layer1(x))))
        return features


def _timm(name: str, drop_path: float) -> nn.Module:
    try:
        import timm
    except ImportError:
        raise UserError(f"--encoder timm:{name} needs timm, which is not installed", "pip install 'cxrlt[timm]'") from None
    if name not in timm.list_models():
        raise UserError(f"timm has no network {name!r}{nearest(name, timm.list_models())}", "see its list: timm.list_models()")
    options: dict[str, Any] = {"drop_path_rate": drop_path} if drop_path else {}
    options |= {"pretrained": False, "in_chans": 1, "num_classes": 0, "global_pool": ""}
    try:
        try:
            return timm.create_model(name, dynamic_img_size=True, **options)  # transformers that can take any size
        except TypeError:
            return timm.create_model(name, **options)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise UserError(
            f"timm:{name} cannot be an encoder: {reason(error)}", "choose another, or leave out --drop-path"
        ) from error


def _as_map(features: Tensor, prefix: int, channels: int) -> Tensor:
    """(B, channels, h, w) of what timm's networks give: maps, maps with the channels last, or tokens of a square."""
    if features.dim() == 3:
        tokens = features[:, prefix:]
        side = round(tokens.shape[1] ** 0.5)
        return tokens.transpose(1, 2).reshape(len(tokens), channels, side, side)
    return features if features.shape[1] == channels else features.permute(0, 3, 1, 2)


def _head_width(network: nn.Module) -> int:
    """The features that the classifier of a network takes; the classifier and its pooling are removed."""
    name = "head" if hasattr(network, "head") else "classifier"
    head = getattr(network, name)
    first = next(module for module in head.modules() if isinstance(module, nn.Linear))
    delattr(network, name)
    del network.avgpool
    return first.in_features


def _take_one_channel(network: nn.Module) -> None:
    """Puts a stem for gray images in the place of the first convolution, initialised as torchvision does."""
    name, conv = next((name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d))
    holder = network.get_submodule(name.rpartition(".")[0])
    shape: Any = (conv.kernel_size, conv.stride, conv.padding)
    kernel, stride, padding = shape
    stem = nn.Conv2d(1, conv.out_channels, kernel, stride, padding, bias=conv.bias is not None)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    setattr(holder, name.rpartition(".")[2], stem)


_HINT = "name a state dict of the same --encoder (torchvision's, timm's), a run of the same, or --weights none"


def load_encoder(encoder: VisualEncoder, path: Path) -> None:
    """Loads a file of weights of the same network (three channels or one) into an encoder.

    A stem of three channels is summed into one: exact for gray images, which have the same value in all three.

    Raises:
        UserError: not readable, or weights of another network.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} cannot be read as weights: {reason(error)}", _HINT) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):  # as many training scripts save
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} is not a state dict", _HINT)
    load_weights(encoder, state, path)


def load_weights(encoder: VisualEncoder, state: dict[str, Tensor], path: Path) -> None:
    """Loads a state dict of the same network into an encoder; `path` is where it came from. Raises UserError as above."""
    own = encoder.network.state_dict()
    state = _with_one_channel(_renamed(state, encoder), own)
    absent = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    other = [key for key in own if key in state and state[key].shape != own[key].shape]
    if absent or other:
        raise UserError(f"{path} holds weights of another network: {listed([*absent, *other], 3)}", _HINT)
    encoder.network.load_state_dict({key: state[key] for key in own if key in state}, strict=False)


def _renamed(state: dict[str, Tensor], encoder: VisualEncoder) -> dict[str, Tensor]:
    """The keys as our network names them: without what wrappers put before them."""
    for prefix in ("module.", "encoder.network.", f"{encoder.name}.", "model."):
        if any(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    if encoder.name.startswith("densenet"):
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
    """Old DenseNet files, torchvision's published ones too, say `norm.1.weight` where its modules say `norm1.weight`."""
    for name in ("norm", "relu", "conv"):
        for number in ("1", "2"):
            key = key.replace(f".{name}.{number}.", f".{name}{number}.")
    return key
