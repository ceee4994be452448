"""GLoRI, the head of CheXFound (Yang et al., IEEE Transactions on Medical Imaging 2025): `--queries glori`.

Global and Local Representations Integration, after a public copy of CheXFound's `eval/classification/glori.py`, whose
decoder is that of ML-Decoder (Ridnik et al., WACV 2023), with v the features at the image positions:

    v = relu(Linear(width)(v))    q = fixed noise of N(0, 1), one vector per label
    q = norm1(q + dropout(q))
    q = norm2(q + dropout(attention(q, v, v)))
    q = norm3(q + dropout(Linear(dropout(relu(Linear(q))))))
    logit c = w_c . [global features ; q_c] + b_c

with 1 layer, width 768, 8 heads, feed-forward 2048, dropout 0.1; w starts with Xavier normal initialisation, b at 0.

Differences: the published global features are the class tokens of the last four blocks of a vision transformer and its v are
the patch tokens of these blocks, side by side. Here the global features are the mean over positions, because most encoders
have no class token, and v is the last feature map only.
"""

import torch
from torch import Tensor, nn

from cxrlt_cli.model.decoder import DecoderSize, LayerAttention


class Glori(nn.Module):
    """Image features to one vector per label: the pooled features, concatenated with the label's features.

    Attributes:
        width: length of a label's vector.
    """

    queries: Tensor

    def __init__(self, channels: int, classes: int, size: DecoderSize) -> None:
        """Builds the layers for `channels` of the feature map."""
        super().__init__()
        self.width = channels + size.width
        self.project = nn.Linear(channels, size.width)
        self.register_buffer("queries", torch.randn(classes, size.width))
        self.layers = nn.ModuleList(_Layer(size) for _ in range(size.layers))

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, h, w) image features to (B, C, channels + width) label features."""
        return self.attend(features)[0]

    def attend(self, features: Tensor) -> tuple[Tensor, list[LayerAttention]]:
        """(B, channels, h, w) features to (B, C, channels + width) label features, and the attention of each layer."""
        patches = torch.relu(self.project(features.flatten(2).transpose(1, 2)))
        labels = self.queries.expand(features.shape[0], -1, -1)
        attentions = []
        for layer in self.layers:
            labels, weights = layer(labels, patches)
            attentions.append(LayerAttention(None, weights))
        pooled = features.mean(dim=(2, 3))[:, None].expand(-1, len(self.queries), -1)
        return torch.cat([pooled, labels], dim=2), attentions


class _Layer(nn.Module):
    """A post-norm decoder layer without attention among the labels."""

    def __init__(self, size: DecoderSize) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(size.width) for _ in range(3))
        self.attention = nn.MultiheadAttention(size.width, size.heads, size.dropout, batch_first=True)
        self.linear1 = nn.Linear(size.width, size.feedforward)
        self.linear2 = nn.Linear(size.feedforward, size.width)
        self.dropout = nn.Dropout(size.dropout)

    def forward(self, labels: Tensor, patches: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, width) labels and (B, P, width) patches to labels and (B, C, P) attention, the mean over heads."""
        labels = self.norm1(labels + self.dropout(labels))
        seen, weights = self.attention(labels, patches, patches)
        labels = self.norm2(labels + self.dropout(seen))
        branch = self.linear2(self.dropout(torch.relu(self.linear1(labels))))
        return self.norm3(labels + self.dropout(branch)), weights
