"""Visual encoders: torchvision's networks up to their last feature map, with a stem for one gray channel."""

import pickle
from pathlib import Path
from typing import Literal

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from cxrlt_cli.errors import UserError, listed, reason

EncoderName = Literal["resnet18", "resnet50", "densenet121"]


class VisualEncoder(nn.Module):
    """Features before pooling.

    Attributes:
        channels: of the feature map.
    """

    def __init__(self, name: EncoderName) -> None:
        """Builds the network with random weights."""
        super().__init__()
        network = getattr(torchvision.models, name)(weights=None)
        self.is_densenet = name.startswith("densenet")
        if self.is_densenet:
            self.channels: int = network.classifier.in_features
            network.features.conv0 = _one_channel(network.features.conv0)
            self.network = network.features
        else:
            self.channels = network.fc.in_features
            network.conv1 = _one_channel(network.conv1)
            del network.fc, network.avgpool
            self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) normalised images to (B, channels, S/32, S/32) features."""
        if self.is_densenet:
            return functional.relu(self.network(images))
        net = self.network
        x = net.maxpool(net.relu(net.bn1(net.conv1(images))))
        features: Tensor = net.layer4(net.layer3(net.layer2(net.layer1(x))))
        return features


def _one_channel(conv: nn.Conv2d) -> nn.Conv2d:
    """A stem for gray images, of the same kernel, stride and padding, initialised as torchvision does."""
    stem = nn.Conv2d(1, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, bias=False)  # type: ignore[arg-type]
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    return stem


def load_encoder(encoder: VisualEncoder, path: Path) -> None:
    """Loads torchvision's weights of the same network (three channels or one) into an encoder.

    A stem of three channels is summed into one: exact for gray images, which have the same value in all three.

    Raises:
        UserError: not readable, or weights of another network.
    """
    hint = "name a torchvision state dict of the same --encoder, or --weights none"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} cannot be read as weights: {reason(error)}", hint) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} is not a state dict", hint)
    state = _adapted(state, encoder)
    own = encoder.network.state_dict()
    absent = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    other = [key for key in own if key in state and state[key].shape != own[key].shape]
    if absent or other:
        raise UserError(f"{path} holds weights of another network: {listed([*absent, *other], 3)}", hint)
    encoder.network.load_state_dict({key: state[key] for key in own if key in state}, strict=False)


def _adapted(state: dict[str, Tensor], encoder: VisualEncoder) -> dict[str, Tensor]:
    """Keys and stem of torchvision's file as our network names them."""
    if encoder.is_densenet:
        state = {_new_key(key.removeprefix("features.")): value for key, value in state.items()}
    stem = "conv0.weight" if encoder.is_densenet else "conv1.weight"
    if stem in state and state[stem].dim() == 4 and state[stem].shape[1] == 3:
        state = {**state, stem: state[stem].sum(dim=1, keepdim=True)}
    return state


def _new_key(key: str) -> str:
    """torchvision's published DenseNet files say `norm.1.weight` where its modules say `norm1.weight`."""
    for name in ("norm", "relu", "conv"):
        for number in ("1", "2"):
            key = key.replace(f".{name}.{number}.", f".{name}{number}.")
    return key
