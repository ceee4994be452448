"""The label-query decoder: one vector per label in the encoder's feature space, conditioned on the label's query.

For a label with query q (D numbers of unit variance), the first layer computes:

    weights = mean over heads of softmax(ask(q / sqrt(D)) . key(patches) / sqrt(d))   ask starts at 0: weights start uniform
    label   = weights @ patches                                                        the values are the features themselves
    label   = label + found(dropout(relu(seen(norm(label)) + asked(q))))               found starts at 0

At initialisation every label's vector is the mean of the features. With one linear classifier per label the network then equals
global average pooling and a linear layer (`--queries none`); the zero-initialised branches learn what the query adds. The
attention uses q scaled to length 1: one step of Adam moves ask(q) by lr times the sum of |q|, and with unscaled q the attention
collapses onto few positions before the features are useful, so that the encoder learns from those positions only.
From the second layer on, labels first attend to each other, and both attentions are added with a factor that starts at 0
(ReZero; Bachlechner et al., UAI 2021).

The transformer decoder of KAD and Query2Label (`--decoder transformer`) keeps the queries in the residual stream and passes the
image features through several random matrices. Its label features hardly depend on the image at first, and it learns several
times more slowly (docs/results/studies.md, `heads`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cxrlt_cli.model.label_queries import LabelQueries


@dataclass(frozen=True)
class DecoderSize:
    """Layers, attention heads, width of the attention's keys, width of the feed-forward branch, dropout, sine positions."""

    layers: int = 1
    heads: int = 4
    width: int = 256
    feedforward: int = 512
    dropout: float = 0.1
    positions: bool = False


@dataclass(frozen=True)
class LayerAttention:
    """Attention weights of one decoder layer, mean over its heads.

    Attributes:
        labels: (B, C, C) between labels, each row summing to 1; None where labels do not attend to each other.
        patches: (B, C, P) over the positions of the feature map, each row summing to 1.
    """

    labels: Tensor | None
    patches: Tensor


class LabelQueryDecoder(nn.Module):
    """Image features to one vector per label; at initialisation, the mean over positions."""

    def __init__(self, channels: int, queries: LabelQueries, size: DecoderSize, label_attention: bool = True) -> None:
        """Builds the layers.

        Args:
            channels: channels of the feature map, and length of the label vectors.
            queries: one query per label.
            size: sizes of the decoder.
            label_attention: whether labels attend to each other (from the second layer on).
        """
        super().__init__()
        self.queries = queries
        self.positions = size.positions
        self.layers = nn.ModuleList(
            _Layer(channels, queries.width, size, first=number == 0, label_attention=label_attention and number > 0)
            for number in range(size.layers)
        )

    def forward(self, features: Tensor, label: int | None = None) -> Tensor:
        """(B, channels, h, w) image features to (B, C, channels) label vectors, or (B, 1, channels) of one label."""
        return self.attend(features, label)[0]

    def attend(self, features: Tensor, label: int | None = None) -> tuple[Tensor, list[LayerAttention]]:
        """(B, channels, h, w) features to (B, C, channels) label vectors, and the attention of each layer."""
        patches, queries = features.flatten(2).transpose(1, 2), self.queries(label)
        places = sine_positions(features.shape[2], features.shape[3], self._width).to(features) if self.positions else None
        labels: Tensor | None = None
        attentions = []
        for layer in self.layers:
            labels, attention = layer(labels, patches, queries, places)
            attentions.append(attention)
        assert labels is not None, "there is at least one layer"
        return labels, attentions

    @property
    def _width(self) -> int:
        first: _Layer = self.layers[0]  # type: ignore[assignment]
        return first.look.key.out_features


class _Layer(nn.Module):
    """Attention over positions, then a feed-forward branch. From the second layer on, labels attend to each other first."""

    def __init__(self, channels: int, query_width: int, size: DecoderSize, first: bool, label_attention: bool) -> None:
        super().__init__()
        self.look = _Attention(query_width, channels, size, follow=not first)
        self.among = _Attention(query_width, channels, size, follow=True) if label_attention else None
        self.look_factor = None if first else nn.Parameter(torch.zeros(()))
        self.among_factor = nn.Parameter(torch.zeros(())) if label_attention else None
        self.norm = nn.LayerNorm(channels)
        self.seen = nn.Linear(channels, size.feedforward)
        self.asked = nn.Linear(query_width, size.feedforward, bias=False)
        self.dropout = nn.Dropout(size.dropout)
        self.found = nn.Linear(size.feedforward, channels)
        nn.init.zeros_(self.found.weight)
        nn.init.zeros_(self.found.bias)

    def forward(
        self, labels: Tensor | None, patches: Tensor, queries: Tensor, places: Tensor | None
    ) -> tuple[Tensor, LayerAttention]:
        """(B, C, channels) labels (None in the first layer), (B, P, channels), (C, D), (P, W) to labels and attention."""
        between = None
        if labels is not None and self.among is not None:
            between = self.among(queries, labels, labels)
            labels = labels + self.among_factor * (between @ labels)
        weights = self.look(queries, patches, labels, places)
        pooled = weights.to(patches.dtype) @ patches
        labels = pooled if labels is None else labels + self.look_factor * pooled
        branch = self.found(self.dropout(torch.relu(self.seen(self.norm(labels)) + self.asked(queries))))
        return labels + branch, LayerAttention(between, weights)


class _Attention(nn.Module):
    """Attention weights of label queries over keys, uniform at initialisation. There is no value or output projection."""

    def __init__(self, query_width: int, key_width: int, size: DecoderSize, follow: bool) -> None:
        super().__init__()
        self.heads = size.heads
        self.ask = nn.Linear(query_width, size.width)
        self.key = nn.Linear(key_width, size.width, bias=False)  # a bias would add the same score at every position
        nn.init.zeros_(self.ask.weight)
        nn.init.zeros_(self.ask.bias)
        self.follow: nn.Module | None = None
        if follow:
            ask_again = nn.Linear(key_width, size.width, bias=False)
            nn.init.zeros_(ask_again.weight)
            self.follow = nn.Sequential(nn.LayerNorm(key_width), ask_again)

    def forward(self, queries: Tensor, keys: Tensor, labels: Tensor | None, places: Tensor | None = None) -> Tensor:
        """(C, D) queries, (B, P, K) keys, (B, C, K) labels so far, (P, W) positions to (B, C, P) weights; rows sum to 1."""
        key = self.key(keys)
        if places is not None:
            key = key + places
        asked = self.ask(queries * queries.shape[1] ** -0.5)
        if labels is not None and self.follow is not None:
            asked = asked + self.follow(labels)
        asked = asked.unflatten(-1, (self.heads, -1)).transpose(-3, -2)  # (…, H, C, d)
        key = key.unflatten(-1, (self.heads, -1)).transpose(-3, -2)  # (B, H, P, d)
        scores: Tensor = asked @ key.transpose(-2, -1) / key.shape[-1] ** 0.5
        return scores.softmax(dim=-1).mean(dim=1)


def sine_positions(height: int, width: int, channels: int) -> Tensor:
    """(height * width, channels) 2-D sine positions within -1..1: a quarter of the channels each for sin and cos of y and x.

    Coordinates are scaled to 0..2 pi over the map as in DETR (Carion et al., ECCV 2020); the temperature is 20 as in DAB-DETR
    (Liu et al., ICLR 2022), because with DETR's 10,000 most channels are constant on small maps.
    """
    frequencies = 20 ** (-torch.arange(channels // 4) / (channels // 4))
    encoded = []
    for count in (height, width):
        angles = 2 * torch.pi * (torch.arange(count) + 0.5)[:, None] / count * frequencies
        encoded.append(torch.cat([angles.sin(), angles.cos()], dim=1))
    rows, columns = encoded
    both = torch.cat([rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)], dim=2)
    return both.reshape(height * width, -1)
