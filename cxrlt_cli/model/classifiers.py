"""From label features, or from image features, to one logit a label."""

import torch
from torch import Tensor, nn

_HIDDEN = 64
#: The T of CSRA that stands for the maximum.
_MAXIMUM = 99


class SeparateClassifiers(nn.Module):
    """A linear classifier for each label; all of them are one batched product. The paper's choice."""

    def __init__(self, classes: int, width: int) -> None:
        """Builds one weight vector and bias a class."""
        super().__init__()
        linear = nn.Linear(width, classes)  # drawn as the layer of a linear head is
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, width) label features to (B, C) logits: logit c comes from classifier c alone."""
        return torch.einsum("bcw,cw->bc", features, self.weight) + self.bias


class SharedClassifier(nn.Module):
    """One linear classifier for all labels, as in KAD: the general framework that the paper compares with."""

    def __init__(self, width: int) -> None:
        """Builds one weight vector and bias."""
        super().__init__()
        self.linear = nn.Linear(width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, width) label features to (B, C) logits."""
        logits: Tensor = self.linear(features).squeeze(-1)
        return logits


class SeparateMlps(nn.Module):
    """A network of one hidden layer for each label, as batched products."""

    def __init__(self, classes: int, width: int) -> None:
        """Builds two layers a class, the hidden one of 64."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, width, _HIDDEN))
        self.bias = nn.Parameter(torch.zeros(classes, _HIDDEN))
        self.last = SeparateClassifiers(classes, _HIDDEN)
        nn.init.trunc_normal_(self.weight, std=width**-0.5)
        nn.init.trunc_normal_(self.last.weight, std=_HIDDEN**-0.5)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, width) label features to (B, C) logits: label c is judged by network c alone."""
        hidden = torch.einsum("bcw,cwh->bch", features, self.weight) + self.bias
        logits: Tensor = self.last(torch.relu(hidden))
        return logits


class PooledLinear(nn.Module):
    """Global average pooling and a linear layer: the plain baseline, without queries."""

    def __init__(self, channels: int, classes: int) -> None:
        """Builds the layer."""
        super().__init__()
        self.linear = nn.Linear(channels, classes)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, h, w) image features to (B, C) logits."""
        logits: Tensor = self.linear(features.mean(dim=(2, 3)))
        return logits


class PooledMlps(nn.Module):
    """Global average pooling and, for each label, a linear layer plus a small network: a branch of its own without a query.

    The control of what a label query brings: the small networks' outputs start at 0, so that it also starts as a linear head.
    """

    def __init__(self, channels: int, classes: int) -> None:
        """Builds the linear layer and a hidden layer of 64 for each class."""
        super().__init__()
        self.linear = nn.Linear(channels, classes)
        self.norm = nn.LayerNorm(channels)
        self.mlps = SeparateMlps(classes, channels)
        nn.init.zeros_(self.mlps.last.weight)
        nn.init.zeros_(self.mlps.last.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, h, w) image features to (B, C) logits."""
        pooled = features.mean(dim=(2, 3))
        every = self.norm(pooled)[:, None].expand(-1, len(self.linear.weight), -1)
        logits: Tensor = self.linear(pooled) + self.mlps(every)
        return logits


class ClassSpecificResidualAttention(nn.Module):
    """CSRA (Zhu and Wu, ICCV 2021): the mean of a class's scores over the image, plus a share of where they are highest.

    As `CSRA` in `pipeline/csra.py` of github.com/Kevinz-code/CSRA. Of its forms with
    several heads, which add up heads of other T, this is the one with a single head, its default.
    """

    def __init__(self, channels: int, classes: int, share: float = 0.1, temperature: float = 1.0) -> None:
        """Builds the scores; `share` is their lambda, `temperature` their T."""
        super().__init__()
        self.scores = nn.Conv2d(channels, classes, 1, bias=False)
        self.share, self.temperature = share, temperature

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, h, w) image features to (B, C) logits."""
        norm = self.scores.weight.norm(dim=1, keepdim=True).transpose(0, 1)  # (1, C, 1, 1): scores are cosine-like
        scores = (self.scores(features) / norm).flatten(2)
        if self.temperature == _MAXIMUM:
            highest = scores.amax(dim=2)
        else:
            highest = (scores * torch.softmax(scores * self.temperature, dim=2)).sum(dim=2)
        logits: Tensor = scores.mean(dim=2) + self.share * highest
        return logits
