"""Visual encoders up to the last feature map: of torchvision and timm by name, and published ones with their preprocessing."""

import hashlib
import json
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cxrlt_cli.config.encoder_name import ENCODER_FORMS, EncoderName, parse_encoder
from cxrlt_cli.data.augment import MEAN, STD, normalise, to_unit
from cxrlt_cli.encoders import timm_models
from cxrlt_cli.encoders.architecture import Architecture, build_network, feature_map, read_architecture
from cxrlt_cli.errors import UserError, listed, nearest, reason
from cxrlt_cli.model.import_torchvision import import_torchvision

torchvision = import_torchvision()

_RESNETS = ("resnet", "resnext", "wide_resnet")
_WITH_FEATURES = ("convnext", "efficientnet", "mobilenet", "swin")


def encoder_names() -> list[str]:
    """Supported torchvision networks."""
    families = (*_RESNETS, "densenet", *_WITH_FEATURES)
    return [name for name in torchvision.models.list_models(module=torchvision.models) if name.startswith(families)]


class VisualEncoder(nn.Module):
    """An encoder that returns the feature map before pooling.

    Attributes:
        name: as given.
        library: that builds the network.
        torchvision: the name of a torchvision network; empty for networks of another library.
        architecture: of a published encoder, what its network is built from; None for networks by name.
        network: the library's network.
        channels: number of channels of the feature map.
        mean, std: a gray value g of 0..1 enters the network as (g - mean) / std; three numbers where the channels differ.
    """

    def __init__(self, name: str, drop_path: float = 0.0, stride: int = 32, architecture: dict[str, Any] | None = None) -> None:
        """Builds the network with random weights.

        Args:
            name: see `config.encoder_name.ENCODER_FORMS`.
            drop_path: probability of dropping a residual branch in training (stochastic depth; Huang et al., ECCV 2016); it
                rises linearly from 0 in the first block to this value in the last.
            stride: image pixels per position of the feature map. 16 removes the last downsampling, as in Luo et al., "Bag of
                tricks and a strong baseline for deep person re-identification" (CVPR workshops 2019); 8 removes two.
            architecture: of a published encoder as a checkpoint stores it; None to read it from the encoder's files.

        Raises:
            UserError: unknown network, files that are not on this machine, or it does not support stochastic depth or the
                stride.
        """
        super().__init__()
        parsed = parse_encoder(name)
        self.name, self.library, self.torchvision = name, str(parsed.library), ""
        self.mean, self.std = [MEAN], [STD]
        self.architecture = _architecture(parsed, architecture)
        self.network: Any
        self.scale: Tensor
        self.shift: Tensor
        self.channels: int
        if self.architecture is not None:
            self.mean, self.std = self.architecture.mean, self.architecture.std
        if self.library in ("torchvision", "xrv"):
            self.torchvision = self.architecture.values["network"] if self.architecture is not None else parsed.source
            self.network, self.channels = _torchvision(self.torchvision, drop_path, stride)
        elif self.architecture is not None:
            self.network, self.channels = build_network(self.architecture, drop_path, stride)
        else:
            options = {"in_chans": 1, "num_classes": 0, "global_pool": ""}
            self.network = timm_models.create(parsed.source, drop_path, stride, options)
            self.channels = self.network.num_features
            published = self.network.pretrained_cfg
            self.mean, self.std = ([round(fmean(published[key]), 6)] for key in ("mean", "std"))
        self._inputs = 1 if self.architecture is None else self.architecture.inputs
        mean, std = (torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1) for values in (self.mean, self.std))
        self.register_buffer("scale", (STD / std).float(), persistent=False)
        self.register_buffer("shift", ((MEAN - mean) / std).float(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) images, normalised by MEAN and STD, to (B, channels, h, w) features.

        h and w are S/stride; of a vision transformer, S divided by the side of a patch.
        """
        inputs = self.own_range(images)
        return self._torchvision_map(inputs) if self.torchvision else feature_map(self.library)(self.network, inputs)

    def own_range(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) images, normalised by MEAN and STD, to (B, 1 or 3, S, S) in the range of the network's training."""
        if len(self.std) > 1:
            return images * self.scale + self.shift
        if (self.mean, self.std) != ([MEAN], [STD]):
            images = images * (STD / self.std[0]) + (MEAN - self.mean[0]) / self.std[0]
        return images if self._inputs == 1 else images.expand(-1, self._inputs, -1, -1)

    def check_size(self, size: int) -> None:
        """Checks that the network makes a spatial map of images of `size` px, the same one each time it sees an image.

        Raises:
            UserError: the patches do not divide the images, the network does not accept them, its output is not a map, or it
                draws patches at random (masked autoencoders do).
        """
        patch = _patch(self.network) if self.architecture is not None else 1
        if size % patch:
            sizes = f"--size {size // patch * patch} or {-(-size // patch) * patch}" if size > patch else f"--size {patch}"
            text = f"{self.name} cuts images into patches of {patch} px, which do not divide {size} px"
            raise UserError(text, f"cache with {sizes}; or choose another --encoder")
        weight = next(self.parameters())
        images = torch.linspace(-1, 1, size * size, device=weight.device).view(1, 1, size, size)
        training = self.training
        try:
            with torch.inference_mode():
                found, again = (self.eval()(images) for _ in range(2))
        except (AssertionError, RuntimeError, ValueError, TypeError) as error:
            raise UserError(
                f"{self.name} does not accept images of {size} px: {reason(error)}",
                "choose another --encoder, or cache with another --size",
            ) from error
        finally:
            self.train(training)
        if found.dim() != 4 or found.shape[1] != self.channels:
            raise UserError(
                f"{self.name} has no spatial feature map: its output is {tuple(found.shape)}", "choose another --encoder"
            )
        if not torch.allclose(found, again, atol=1e-2 * float(found.abs().max())):
            text = f"{self.name} gives different features for the same image: it draws patches at random"
            raise UserError(text, "choose another --encoder")

    def _torchvision_map(self, images: Tensor) -> Tensor:
        net = self.network
        if self.torchvision.startswith("densenet"):
            return functional.relu(net(images))
        if self.torchvision.startswith("swin"):
            rows: Tensor = net.norm(net.features(images)).permute(0, 3, 1, 2)
            return rows
        if self.torchvision.startswith(_WITH_FEATURES):
            found: Tensor = net.features(images)
            return found
        x = net.maxpool(net.relu(net.bn1(net.conv1(images))))
        features: Tensor = net.layer4(net.layer3(net.layer2(net.layer1(x))))
        return features


def encode(encoder: VisualEncoder, pixels: Tensor) -> Tensor:
    """The features of cached images, as training and prediction compute them without augmentation.

    Args:
        encoder: in evaluation mode.
        pixels: (B, S, S) uint8, on the encoder's device.

    Returns:
        (B, channels, h, w) float32.
    """
    with torch.inference_mode():
        features: Tensor = encoder(normalise(to_unit(pixels)))
    return features


def weights_digest(encoder: VisualEncoder) -> str:
    """SHA-256 of an encoder's weights and statistics, with their names, and of its input range; as loaded, on the CPU."""
    digest = hashlib.sha256(json.dumps([encoder.mean, encoder.std]).encode())
    for name, tensor in sorted(encoder.network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _architecture(name: EncoderName, saved: dict[str, Any] | None) -> Architecture | None:
    if not name.published:
        return None
    return read_architecture(name) if saved is None else Architecture(**saved)


def _patch(network: nn.Module) -> int:
    """Side of the patches of a network whose first convolution cuts the image into patches, else 1."""
    stem = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    cuts = stem is not None and stem.kernel_size == stem.stride and not any(stem.padding)
    return int(stem.stride[0]) if cuts and stem is not None else 1


def _torchvision(name: str, drop_path: float, stride: int) -> tuple[nn.Module, int]:
    """A torchvision network with random weights and a one-channel stem, without its classifier; and its width."""
    if name not in encoder_names():
        near = nearest(name, encoder_names())
        raise UserError(f"unknown --encoder {name!r}{near}", f"torchvision's {listed(encoder_names(), 80)}; or {ENCODER_FORMS}")
    if drop_path and not name.startswith(_WITH_FEATURES[:2] + _WITH_FEATURES[3:]):
        raise UserError(
            f"--drop-path: {name} has no stochastic depth", "convnext, efficientnet, swin and most timm networks have it"
        )
    options = {"stochastic_depth_prob": drop_path} if drop_path else {}
    network = getattr(torchvision.models, name)(weights=None, **options)
    if name.startswith("densenet"):
        channels, network = network.classifier.in_features, network.features
    elif name.startswith(_RESNETS):
        channels = network.fc.in_features
        del network.fc, network.avgpool
    else:
        channels = _head_width(network)
    _take_one_channel(network)
    if stride != 32:
        _keep_resolution(name, network, stride)
    return network, channels


def _head_width(network: nn.Module) -> int:
    """Input width of the network's classifier; removes the classifier and its pooling."""
    name = "head" if hasattr(network, "head") else "classifier"
    head = getattr(network, name)
    first = next(module for module in head.modules() if isinstance(module, nn.Linear))
    delattr(network, name)
    del network.avgpool
    return first.in_features


def _keep_resolution(name: str, network: Any, stride: int) -> None:
    """Removes downsampling from the last stage (stride 16) or the last two (stride 8); weight shapes do not change."""
    stages = {16: 1, 8: 2}[stride]
    if name.startswith("densenet"):
        for number in range(4 - stages, 4):
            getattr(network, f"transition{number}").pool = nn.Identity()
    elif name.startswith(_RESNETS):
        for number in range(5 - stages, 5):
            for module in getattr(network, f"layer{number}").modules():
                if isinstance(module, nn.Conv2d):
                    module.stride = (1, 1)
    else:
        raise UserError(f"--stride {stride}: {name} does not support it", "resnet, resnext, densenet and many timm networks do")


def _take_one_channel(network: nn.Module) -> None:
    """Replaces the first convolution by one for gray images, initialised as torchvision does."""
    name, conv = next((name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d))
    holder = network.get_submodule(name.rpartition(".")[0])
    shape: Any = (conv.kernel_size, conv.stride, conv.padding)
    kernel, stride, padding = shape
    stem = nn.Conv2d(1, conv.out_channels, kernel, stride, padding, bias=conv.bias is not None)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    setattr(holder, name.rpartition(".")[2], stem)
