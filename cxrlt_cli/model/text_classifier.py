"""`--classifier text`: one classifier for all labels. A label's weights come from its text, so it can be any label.

For a label with query q (D numbers, whitened on the trained labels: `label_queries.whitening_of`) and vector v of the decoder:

    logit = (W q / sqrt(D)) . v + u . q / sqrt(D) + b

W is initialised such that a label's weights W q / sqrt(D) have the distribution of a linear layer's. At initialisation the
network is a linear head with random weights that are similar for labels with similar texts. u and b start at 0.

CARZero (Lai et al., CVPR 2024) instead gives the label vectors to one MLP that all labels share, so that a label's text reaches
its logit through the decoder only.
"""

import torch
from torch import Tensor, nn

from cxrlt_cli.model.label_queries import LabelQueries


class TextClassifier(nn.Module):
    """Linear classifiers whose weights are a linear function of the label's text."""

    def __init__(self, width: int, queries: LabelQueries) -> None:
        """Builds the layers.

        Args:
            width: length of the label vectors.
            queries: one per label; the same module as the decoder's.
        """
        super().__init__()
        self.queries = queries
        self.weights = nn.Linear(queries.width, width, bias=False)
        self.bias = nn.Linear(queries.width, 1)
        nn.init.normal_(self.weights.weight, std=(3 * width) ** -0.5)
        nn.init.zeros_(self.bias.weight)
        nn.init.zeros_(self.bias.bias)

    def forward(self, features: Tensor, label: int | None = None) -> Tensor:
        """(B, C, width) label features to (B, C) logits, or (B, 1, width) of one label to (B, 1)."""
        texts = self.queries(label) * self.queries.width**-0.5
        logits: Tensor = torch.einsum("bcw,cw->bc", features, self.weights(texts)) + self.bias(texts).squeeze(-1)
        return logits
