"""The transformer label decoder of KAD (Zhang et al., Nature Communications 2023): `--decoder transformer`.

As in `models/clip_tqn.py` and `models/transformer_decoder.py` of github.com/xiaoman-zhang/KAD, with v the features at the
image positions and q the text features of the labels:

    v = norm(Linear(width)(relu(Linear(channels)(v))))    q = norm(q)
    4 pre-norm layers, each                               q = q + attention(norm1 q, norm1 q, norm1 q)
                                                          q = q + attention(norm2 q, v, v)
                                                          q = q + Linear(relu(Linear(norm3 q)))
    label features = dropout(norm(q))

`norm` without a number is one LayerNorm in all three places. There are no positions, and each sub-layer has dropout 0.1. The
weights of the layers and of the classifier start at N(0, 0.02); the two layers on the image features and all biases keep the
initialisation of `nn.Linear`.

Differences: KAD has two logits per label and a softmax; here one logit and a sigmoid, which is equivalent to their difference.
Text features whose width differs from the decoder's pass through a linear layer first (KAD's have its width). They are scaled
to unit variance, which the norm would do anyway.
"""

from typing import Any

import torch
from torch import Tensor, nn

from cxrlt_cli.model.classifiers import SeparateClassifiers
from cxrlt_cli.model.decoder import DecoderSize
from cxrlt_cli.model.label_queries import LabelQueries


class TransformerLabelDecoder(nn.Module):
    """Image features to one vector per label, as in KAD."""

    def __init__(self, channels: int, queries: LabelQueries, size: DecoderSize, label_attention: bool = True) -> None:
        """Builds the layers.

        Args:
            channels: of the feature map.
            queries: one per label.
            size: sizes of the transformer; its width is the length of the label vectors.
            label_attention: whether labels attend to each other in each layer, before attending to the image.
        """
        super().__init__()
        self.queries = queries
        self.project_queries = nn.Identity() if queries.width == size.width else nn.Linear(queries.width, size.width)
        self.project_features = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, size.width))
        self.decoder = _layers(size, label_attention)
        self.dropout = nn.Dropout(size.dropout)
        start_normal(self.decoder)

    def forward(self, features: Tensor, label: int | None = None) -> Tensor:
        """(B, channels, h, w) image features to (B, C, width) label features, or (B, 1, width) of one label."""
        norm = self.decoder.norm
        assert norm is not None
        patches = norm(self.project_features(features.flatten(2).transpose(1, 2)))
        labels = norm(self.project_queries(self.queries(label))).expand(patches.shape[0], -1, -1)
        for layer in self.decoder.layers:
            labels = layer(labels, patches)
        found: Tensor = self.dropout(norm(labels))
        return found


class EarlyTransformerLabelDecoder(nn.Module):
    """The decoder of runs made before 0.2, kept for their checkpoints.

    Unlike KAD, it has no norm of image features and queries, no dropout of the label features, a hidden layer of the decoder's
    width on the image features, and a projection of text embeddings of any width.
    """

    def __init__(self, channels: int, queries: LabelQueries, size: DecoderSize, label_attention: bool = True) -> None:
        """Builds the layers, as `TransformerLabelDecoder`."""
        super().__init__()
        width = size.width
        self.queries = queries
        self.project_queries = nn.Identity() if queries.kind == "learned" else nn.Linear(queries.width, width)
        self.project_features = nn.Sequential(nn.Linear(channels, width), nn.ReLU(), nn.Linear(width, width))
        self.decoder = _layers(size, label_attention)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, h, w) image features to (B, C, width) label features."""
        patches = self.project_features(features.flatten(2).transpose(1, 2))
        labels = self.project_queries(self.queries()).expand(patches.shape[0], -1, -1)
        for layer in self.decoder.layers:
            labels = layer(labels, patches)
        assert self.decoder.norm is not None
        found: Tensor = self.decoder.norm(labels)
        return found


class CrossAttentionLayer(nn.TransformerDecoderLayer):
    """A decoder layer in which labels attend to the image and not to each other."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Builds the layer of `nn.TransformerDecoderLayer` and removes the attention among labels."""
        super().__init__(*args, **options)
        del self.self_attn, self.norm1, self.dropout1

    def forward(self, tgt: Tensor, memory: Tensor, **_: Any) -> Tensor:  # type: ignore[override]
        """(B, C, width) labels and (B, P, width) patches to (B, C, width)."""
        x = tgt + self._mha_block(self.norm2(tgt), memory, None, None)
        return x + self._ff_block(self.norm3(x))


def _layers(size: DecoderSize, label_attention: bool) -> nn.TransformerDecoder:
    kind = nn.TransformerDecoderLayer if label_attention else CrossAttentionLayer
    layer = kind(size.width, size.heads, size.feedforward, size.dropout, activation="relu", batch_first=True, norm_first=True)
    return nn.TransformerDecoder(layer, size.layers, norm=nn.LayerNorm(size.width))


def start_normal(module: nn.Module) -> None:
    """Draws the weights of linear layers, attention and separate classifiers from N(0, 0.02), as KAD does; biases are kept."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Linear | SeparateClassifiers):
                part.weight.normal_(std=0.02)
            elif isinstance(part, nn.MultiheadAttention):
                part.in_proj_weight.normal_(std=0.02)
