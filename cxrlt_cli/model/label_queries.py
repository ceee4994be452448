"""The queries of the label decoder: one vector per label."""

import torch
from torch import Tensor, nn


class LabelQueries(nn.Module):
    """One query vector per label, of unit variance.

    Attributes:
        width: D, length of a query.
    """

    queries: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, embeddings: Tensor, kind: str = "text", learned_width: int = 256, trained: Tensor | None = None) -> None:
        """Stores the label embeddings, or random vectors.

        Args:
            embeddings: (C, D) label embeddings.
            kind: `text` keeps the embeddings as they are; `tuned` trains them; `learned` trains randomly initialised
                vectors (Query2Label; Liu et al., arXiv 2107.10834) and uses only the number of embeddings.
            learned_width: D for `learned`.
            trained: (C,) bool, where the queries are centred: the labels that are trained. Text encoders give all labels nearly
                the same vector; what tells them apart is the difference to the mean of the trained ones.
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
        self.centred = trained is not None
        if trained is not None:
            unit = nn.functional.normalize(embeddings[trained], dim=1)
            centre = unit.mean(dim=0)
            self.register_buffer("centre", centre)
            self.register_buffer("spread", (unit - centre).square().sum(dim=1).mean().sqrt().clamp(min=1e-6))

    def forward(self, label: int | None = None) -> Tensor:
        """(C, D) queries, or (1, D) of one label; text embeddings are scaled to unit variance."""
        queries = self.queries if label is None else self.queries[label : label + 1]
        if self.kind == "learned":
            return queries
        unit = nn.functional.normalize(queries, dim=1)
        scaled: Tensor = ((unit - self.centre) / self.spread if self.centred else unit) * self.width**0.5
        return scaled
