"""Visual encoders: torchvision's and timm's networks up to the last feature map, with a one-channel stem."""

from statistics import fmean
from typing import Any

import torchvision
from torch import Tensor, nn
from torch.nn import functional

from cxrlt_cli.data.augment import MEAN, STD
from cxrlt_cli.errors import UserError, listed, nearest, reason

_RESNETS = ("resnet", "resnext", "wide_resnet")
_WITH_FEATURES = ("convnext", "efficientnet", "mobilenet", "swin")


def encoder_names() -> list[str]:
    """Supported torchvision networks."""
    families = (*_RESNETS, "densenet", *_WITH_FEATURES)
    return [name for name in torchvision.models.list_models(module=torchvision.models) if name.startswith(families)]


class VisualEncoder(nn.Module):
    """An encoder that returns the feature map before pooling.

    Attributes:
        channels: number of channels of the feature map.
        mean, std: normalisation of gray values (0..1) that the published weights expect.
    """

    def __init__(self, name: str, drop_path: float = 0.0, stride: int = 32) -> None:
        """Builds the network with random weights.

        Args:
            name: a torchvision name, or `timm:NAME`.
            drop_path: probability of dropping a residual branch in training (stochastic depth; Huang et al., ECCV 2016); it
                rises linearly from 0 in the first block to this value in the last.
            stride: image pixels per position of the feature map. 16 removes the last downsampling, as in Luo et al., "Bag of
                tricks and a strong baseline for deep person re-identification" (CVPR workshops 2019); 8 removes two.

        Raises:
            UserError: unknown network, or it does not support stochastic depth or the stride.
        """
        super().__init__()
        self.name = name
        self.network: Any
        self.mean, self.std = MEAN, STD
        if name.startswith("timm:"):
            self.network = _timm(name.removeprefix("timm:"), drop_path, stride)
            self.channels: int = self.network.num_features
            published = self.network.pretrained_cfg
            self.mean, self.std = (round(fmean(published[key]), 6) for key in ("mean", "std"))
            return
        if name not in encoder_names():
            near = nearest(name, encoder_names())
            raise UserError(f"unknown --encoder {name!r}{near}", f"torchvision's {listed(encoder_names(), 80)}; or timm:NAME")
        if drop_path and not name.startswith(_WITH_FEATURES[:2] + _WITH_FEATURES[3:]):
            raise UserError(
                f"--drop-path: {name} has no stochastic depth", "convnext, efficientnet, swin and most timm networks have it"
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
        if stride != 32:
            _keep_resolution(name, self.network, stride)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) images, normalised by MEAN and STD, to (B, channels, h, w) features; h and w are S/stride."""
        net = self.network
        if (self.mean, self.std) != (MEAN, STD):
            images = images * (STD / self.std) + (MEAN - self.mean) / self.std
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


def _timm(name: str, drop_path: float, stride: int) -> nn.Module:
    try:
        import timm
    except ImportError:
        raise UserError(f"--encoder timm:{name} needs timm, which is not installed", "pip install timm") from None
    if name not in timm.list_models():
        raise UserError(
            f"timm does not have {name!r}{nearest(name, timm.list_models())}",
            "list its networks: python -c 'import timm; print(timm.list_models())'",
        )
    options: dict[str, Any] = {"drop_path_rate": drop_path} if drop_path else {}
    if stride != 32:
        options["output_stride"] = stride
    options |= {"pretrained": False, "in_chans": 1, "num_classes": 0, "global_pool": ""}
    try:
        try:
            return timm.create_model(name, dynamic_img_size=True, **options)  # vision transformers that accept any size
        except TypeError:
            return timm.create_model(name, **options)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise UserError(
            f"timm:{name} cannot be used as an encoder: {reason(error)}",
            "choose another, or leave out --drop-path and --stride",
        ) from error


def _as_map(features: Tensor, prefix: int, channels: int) -> Tensor:
    """(B, channels, h, w) of timm's outputs: maps, channels-last maps, or a square of tokens."""
    if features.dim() == 3:
        tokens = features[:, prefix:]
        side = round(tokens.shape[1] ** 0.5)
        return tokens.transpose(1, 2).reshape(len(tokens), channels, side, side)
    return features if features.shape[1] == channels else features.permute(0, 3, 1, 2)


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
