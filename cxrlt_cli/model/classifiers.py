"""Classifiers: from label features or image features to one logit per label."""

import torch
from torch import Tensor, nn

_HIDDEN = 64
#: T = 99 means the maximum, as in the published code.
_MAXIMUM = 99


class SeparateClassifiers(nn.Module):
    """One linear classifier per label, computed as a single batched product. The paper's choice."""

    def __init__(self, classes: int, width: int) -> None:
        """Builds one weight vector and one bias per class."""
        super().__init__()
        linear = nn.Linear(width, classes)  # the same random weights as a linear head
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, width) label features to (B, C) logits: logit c comes from classifier c alone."""
        return torch.einsum("bcw,cw->bc", features, self.weight) + self.bias


class SharedClassifier(nn.Module):
    """One linear classifier shared by all labels, as in KAD: the baseline that the paper compares with."""

    def __init__(self, width: int) -> None:
        """Builds one weight vector and bias."""
        super().__init__()
        self.linear = nn.Linear(width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, width) label features to (B, C) logits."""
        logits: Tensor = self.linear(features).squeeze(-1)
        return logits


class SeparateMlps(nn.Module):
    """One MLP with one hidden layer per label, computed as batched products."""

    def __init__(self, classes: int, width: int) -> None:
        """Builds two layers per class; the hidden layer has 64 units."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, width, _HIDDEN))
        self.bias = nn.Parameter(torch.zeros(classes, _HIDDEN))
        self.last = SeparateClassifiers(classes, _HIDDEN)
        nn.init.trunc_normal_(self.weight, std=width**-0.5)
        nn.init.trunc_normal_(self.last.weight, std=_HIDDEN**-0.5)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, width) label features to (B, C) logits: logit c comes from MLP c alone."""
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
    """Global average pooling, then a linear layer plus an MLP for each label: a branch per label without a query.

    The control for label queries. The MLPs' output layers start at 0, so the head starts as a linear one.
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
    """CSRA (Zhu and Wu, ICCV 2021): a class's mean score over the image plus lambda times its attention-weighted score.

    As `CSRA` in `pipeline/csra.py` of github.com/Kevinz-code/CSRA. The published
    multi-head variants sum heads with different T; this is the single head, their default.
    """

    def __init__(self, channels: int, classes: int, lam: float = 0.1, temperature: float = 1.0) -> None:
        """Builds the score layer; `lam` is the published lambda, `temperature` its T."""
        super().__init__()
        self.scores = nn.Conv2d(channels, classes, 1, bias=False)
        self.lam, self.temperature = lam, temperature

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, h, w) image features to (B, C) logits."""
        norm = self.scores.weight.norm(dim=1, keepdim=True).transpose(0, 1)  # (1, C, 1, 1): normalises the weight vectors
        scores = (self.scores(features) / norm).flatten(2)
        if self.temperature == _MAXIMUM:
            highest = scores.amax(dim=2)
        else:
            highest = (scores * torch.softmax(scores * self.temperature, dim=2)).sum(dim=2)
        logits: Tensor = scores.mean(dim=2) + self.lam * highest
        return logits
