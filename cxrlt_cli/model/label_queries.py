"""The queries of the label decoder: one vector per label."""

import torch
from torch import Tensor, nn


class LabelQueries(nn.Module):
    """One query vector per label, of unit variance.

    Attributes:
        width: D, length of a query.
    """

    queries: Tensor

    def __init__(self, embeddings: Tensor, kind: str = "text", learned_width: int = 256) -> None:
        """Stores the label embeddings, or random vectors.

        Args:
            embeddings: (C, D) label embeddings.
            kind: `text` keeps the embeddings as they are; `tuned` trains them; `learned` trains randomly initialised
                vectors (Query2Label; Liu et al., arXiv 2107.10834) and uses only the number of embeddings.
            learned_width: D for `learned`.
        """
        super().__init__()
        self.kind = kind
        if kind == "learned":
            self.register_parameter("queries", nn.Parameter(torch.randn(len(embeddings), learned_width)))
        elif kind == "tuned":
            self.register_parameter("queries", nn.Parameter(embeddings.clone()))
        else:
            self.register_buffer("queries", embeddings)
        self.width: int = self.queries.shape[1]

    def forward(self) -> Tensor:
        """(C, D) queries; text embeddings are scaled to unit variance."""
        if self.kind == "learned":
            return self.queries
        scaled: Tensor = nn.functional.normalize(self.queries, dim=1) * self.width**0.5
        return scaled
