"""The label-query decoder: each label asks the image where it is.

Label embeddings are the queries of a transformer decoder, image features its keys and values. Sizes default to those of
KAD (Zhang et al., Nature Communications 2023), the nearest published relative: 4 layers, 4 heads, width 768, feed-forward
1024, dropout 0.1, ReLU, pre-norm, no positional encoding, Linear-ReLU-Linear on each image patch. The paper's are unknown.
"""

from typing import Any

import torch
from torch import Tensor, nn

from cxrlt_cli.model.decoder import DecoderSize


class TransformerLabelDecoder(nn.Module):
    """One vector a label, from what its query found in the image."""

    queries: Tensor

    def __init__(
        self, channels: int, queries: Tensor, size: DecoderSize, kind: str = "text", self_attention: bool = True
    ) -> None:
        """Builds the decoder.

        Args:
            channels: of the image features.
            queries: (C, D) label embeddings.
            size: of the transformer.
            kind: `text` keeps the embeddings as they are, behind a learned projection; `tuned` learns them too, from there;
                `learned` starts from noise instead (Query2Label; Liu et al., 2021), and takes from them only how many they are.
            self_attention: whether the labels also look at each other, before they look at the image.
        """
        super().__init__()
        width = size.width
        if kind == "learned":
            self.register_parameter("queries", nn.Parameter(torch.randn(len(queries), width)))
        else:
            self._take(queries, tuned=kind == "tuned")
            self.project_queries = nn.Linear(queries.shape[1], width)
        self.project_features = nn.Sequential(nn.Linear(channels, width), nn.ReLU(), nn.Linear(width, width))
        kind_of_layer = nn.TransformerDecoderLayer if self_attention else CrossAttentionLayer
        layer = kind_of_layer(
            width, size.heads, size.feedforward, size.dropout, activation="relu", batch_first=True, norm_first=True
        )
        self.decoder = nn.TransformerDecoder(layer, size.layers, norm=nn.LayerNorm(width))
        for parameter in self.decoder.parameters():  # the layers are copies of one another: give each its own start
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def _take(self, queries: Tensor, tuned: bool) -> None:
        if tuned:
            self.register_parameter("queries", nn.Parameter(queries.clone()))
        else:
            self.register_buffer("queries", queries)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, h, w) image features to (B, C, width) label features."""
        patches = self.project_features(features.flatten(2).transpose(1, 2))
        labels = self._projected().expand(len(patches), -1, -1)
        for layer in self.decoder.layers:
            labels = layer(labels, patches)
        assert self.decoder.norm is not None
        found: Tensor = self.decoder.norm(labels)
        return found

    def _projected(self) -> Tensor:
        """(C, width) queries."""
        if not hasattr(self, "project_queries"):
            return self.queries
        unit = nn.functional.normalize(self.queries, dim=1)
        projected: Tensor = self.project_queries(unit * self.queries.shape[1] ** 0.5)  # unit variance, whatever the encoder
        return projected


class CrossAttentionLayer(nn.TransformerDecoderLayer):
    """A decoder layer in which labels look at the image and not at each other."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Builds the layer of `nn.TransformerDecoderLayer` and takes the attention among labels out."""
        super().__init__(*args, **options)
        del self.self_attn, self.norm1, self.dropout1

    def forward(self, tgt: Tensor, memory: Tensor, **_: Any) -> Tensor:  # type: ignore[override]
        """(B, C, width) labels and (B, P, width) patches to (B, C, width)."""
        x = tgt + self._mha_block(self.norm2(tgt), memory, None, None)
        return x + self._ff_block(self.norm3(x))
