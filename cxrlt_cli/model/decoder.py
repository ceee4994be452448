"""The label-query decoder: each label asks the image where it is.

Label embeddings are the queries of a transformer decoder, image features its keys and values. Sizes default to those of
KAD (Zhang et al., Nature Communications 2023), the nearest published relative: 4 layers, 4 heads, width 768, feed-forward
1024, dropout 0.1, ReLU, pre-norm, no positional encoding, Linear-ReLU-Linear on each image patch. The paper's are unknown.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class DecoderSize:
    """Layers, attention heads, width, width of the feed-forward part, dropout."""

    layers: int = 4
    heads: int = 4
    width: int = 768
    feedforward: int = 1024
    dropout: float = 0.1


class LabelQueryDecoder(nn.Module):
    """One vector a label, from what its query found in the image."""

    queries: Tensor

    def __init__(self, channels: int, queries: Tensor, size: DecoderSize) -> None:
        """Builds the decoder.

        Args:
            channels: of the image features.
            queries: (C, D) label embeddings, kept as they are.
            size: of the transformer.
        """
        super().__init__()
        width = size.width
        self.register_buffer("queries", queries)
        self.project_queries = nn.Linear(queries.shape[1], width)
        self.project_features = nn.Sequential(nn.Linear(channels, width), nn.ReLU(), nn.Linear(width, width))
        layer = nn.TransformerDecoderLayer(
            width, size.heads, size.feedforward, size.dropout, activation="relu", batch_first=True, norm_first=True
        )
        self.decoder = nn.TransformerDecoder(layer, size.layers, norm=nn.LayerNorm(width))
        for parameter in self.decoder.parameters():  # the layers are copies of one another: give each its own start
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, h, w) image features to (B, C, width) label features."""
        patches = self.project_features(features.flatten(2).transpose(1, 2))
        scaled = (
            nn.functional.normalize(self.queries, dim=1) * self.queries.shape[1] ** 0.5
        )  # unit variance, whatever the encoder
        queries = self.project_queries(scaled).expand(len(patches), -1, -1)
        found: Tensor = self.decoder(queries, patches)
        return found


class SeparateClassifiers(nn.Module):
    """A linear classifier for each label; all of them are one batched product."""

    def __init__(self, classes: int, width: int) -> None:
        """Builds one weight vector and bias a class."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, width))
        self.bias = nn.Parameter(torch.zeros(classes))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, width) label features to (B, C) logits: label c is judged by classifier c alone."""
        return torch.einsum("bcw,cw->bc", features, self.weight) + self.bias
