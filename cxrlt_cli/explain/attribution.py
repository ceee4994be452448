"""Attribution maps: contribution of each location to a label's logit."""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from cxrlt_cli.model.network import Network

Method = Literal["grad-cam", "layer-integrated-gradients", "integrated-gradients"]
METHODS: tuple[Method, ...] = get_args(Method)
_STEPS = 24


def attribution(network: Network, images: Tensor, labels: list[int], method: Method) -> Tensor:
    """Attribution maps: positive contribution of each location to each label's logit.

    Args:
        network: in evaluation mode.
        images: (B, 1, S, S), normalised.
        labels: L columns of the logits.
        method: see `grad_cam`, `layer_integrated_gradients` and `integrated_gradients`.

    Returns:
        (B, L, h, w) float32, 0 or more: on the encoder's feature map; of integrated gradients on the pixels.
    """
    if method == "integrated-gradients":
        return torch.stack([integrated_gradients(network, images, label) for label in labels], dim=1)
    with torch.no_grad():
        features = network.encode(images)
        start = network.encode(_unseen(images)) if method == "layer-integrated-gradients" else features
    if method == "grad-cam":
        return torch.stack([grad_cam(network, features, label) for label in labels], dim=1)
    return torch.stack([layer_integrated_gradients(network, features, start, label) for label in labels], dim=1)


def grad_cam(network: Network, features: Tensor, label: int) -> Tensor:
    """Grad-CAM (Selvaraju et al., ICCV 2017): features weighted by the mean gradient of their channel, positive part.

    It uses the gradient at this image only. For a saturated score the gradient vanishes, and the map means little.

    Returns:
        (B, h, w), 0 or more.
    """
    weight = _gradient(network, features, label).mean(dim=(2, 3), keepdim=True)
    return (weight * features).sum(dim=1).clamp(min=0).float()


def layer_integrated_gradients(network: Network, features: Tensor, start: Tensor, label: int, steps: int = _STEPS) -> Tensor:
    """Integrated gradients (Sundararajan et al., ICML 2017) of the feature map, summed over channels.

    The gradient is integrated on the path from the features of the blurred image to those of the image, so that a saturated
    score has an attribution too; only the decoder and the classifier are run again. Before the clamp the map sums to the
    difference of the logits.

    Args:
        network: in evaluation mode.
        features: (B, channels, h, w).
        start: the same shape.
        label: column of the logits.
        steps: of the midpoint rule.

    Returns:
        (B, h, w), 0 or more.
    """
    return feature_contributions(network, features, start, label, steps).clamp(min=0)


def feature_contributions(network: Network, features: Tensor, start: Tensor, label: int, steps: int = _STEPS) -> Tensor:
    """(B, h, w) contribution of each location; they sum to classify(features) - classify(start)."""
    total = torch.zeros_like(features)
    for step in range(steps):
        total += _gradient(network, start + (step + 0.5) / steps * (features - start), label)
    return ((features - start) * total / steps).sum(dim=1).float()


def _gradient(network: Network, features: Tensor, label: int) -> Tensor:
    """(B, channels, h, w) d logit / d features."""
    with torch.enable_grad():
        leaf = features.detach().requires_grad_()
        return torch.autograd.grad(network.classify(leaf)[:, label].sum(), leaf)[0]


def _unseen(images: Tensor) -> Tensor:
    """The baseline: a strong blur. With a black baseline, dark findings would have no attribution."""
    return blurred(images, images.shape[-1] / 8)


def integrated_gradients(network: Network, images: Tensor, label: int, steps: int = _STEPS) -> Tensor:
    """Integrated gradients (Sundararajan et al., ICML 2017) from the blurred image to the image, as a smooth map.

    Returns:
        (B, S, S), 0 or more: the positive part of the attributions after a blur of S / 32 px.
    """
    attributed = attributions(network, images, _unseen(images), label, steps)
    return blurred(attributed.unsqueeze(1), images.shape[-1] / 32).squeeze(1).clamp(min=0)


def attributions(network: Network, images: Tensor, start: Tensor, label: int, steps: int = _STEPS) -> Tensor:
    """(B, S, S) contribution of each pixel; they sum to logit(images) - logit(start), by the midpoint rule."""
    total = torch.zeros_like(images)
    for step in range(steps):
        between = (start + (step + 0.5) / steps * (images - start)).requires_grad_()
        with torch.enable_grad():
            total += torch.autograd.grad(network(between)[:, label].sum(), between)[0]
    return ((images - start) * total / steps).squeeze(1)


def blurred(images: Tensor, std: float) -> Tensor:
    """(B, 1, S, S) after a Gaussian blur with a standard deviation of `std` px; the border is replicated."""
    reach = max(1, round(3 * std))
    line = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-(line**2) / (2 * std**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    wide = functional.conv2d(functional.pad(images, (reach, reach, 0, 0), mode="replicate"), kernel)
    return functional.conv2d(functional.pad(wide, (0, 0, reach, reach), mode="replicate"), kernel.transpose(2, 3))
