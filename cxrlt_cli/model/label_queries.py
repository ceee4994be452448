"""The queries of the label decoder: one vector per label."""

import torch
from torch import Tensor, nn

#: Added to the eigenvalues of the texts' covariance, as a fraction of their mean.
_RIDGE = 0.1


class LabelQueries(nn.Module):
    """One query vector per label, of unit variance.

    Attributes:
        width: D, length of a query.
    """

    queries: Tensor
    centre: Tensor
    whitening: Tensor

    def __init__(self, embeddings: Tensor, kind: str = "text", learned_width: int = 256, trained: Tensor | None = None) -> None:
        """Stores the label embeddings, or random vectors.

        Args:
            embeddings: (C, D) label embeddings.
            kind: `text` keeps the embeddings as they are; `tuned` trains them; `learned` trains randomly initialised
                vectors (Query2Label; Liu et al., arXiv 2107.10834) and uses only the number of embeddings.
            learned_width: D for `learned`.
            trained: (C,) bool, the labels that are trained, on which text queries are whitened (`whitening_of`); None leaves
                them as they are.
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
        self.whitened = trained is not None
        if trained is not None:
            centre, whitening = whitening_of(nn.functional.normalize(embeddings[trained], dim=1))
            self.register_buffer("centre", centre)
            self.register_buffer("whitening", whitening)

    def forward(self, label: int | None = None) -> Tensor:
        """(C, D) queries, or (1, D) of one label; text embeddings are scaled to unit variance."""
        queries = self.queries if label is None else self.queries[label : label + 1]
        if self.kind == "learned":
            return queries
        unit = nn.functional.normalize(queries, dim=1)
        scaled: Tensor = ((unit - self.centre) @ self.whitening if self.whitened else unit) * self.width**0.5
        return scaled


def whitening_of(texts: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of label texts, and the matrix that scales all directions in which they differ to nearly equal variance.

    Text encoders give all labels nearly the same vector, and "left" and "right" differ least. With e the eigenvalues of the
    covariance, V its eigenvectors and m the mean of e, the matrix is V diag((e + 0.1 m)^-1/2) V^T, scaled such that the texts
    have mean squared length 1. Directions in which no two texts differ are left out, because nothing is trained there.

    Args:
        texts: (n, D) of the trained labels, of length 1.

    Returns:
        (D,) and (D, D). With a single text, or equal ones, the matrix is the identity.
    """
    centred = texts.double() - texts.double().mean(dim=0)
    _, singular, directions = torch.linalg.svd(centred, full_matrices=False)
    there = singular > 1e-6
    if not there.any():
        return texts.mean(dim=0), torch.eye(texts.shape[1])
    values, directions = singular[there] ** 2 / len(texts), directions[there]
    matrix = directions.T * (values + _RIDGE * values.mean()) ** -0.5 @ directions
    matrix = matrix / (centred @ matrix).square().sum(dim=1).mean().sqrt()
    return texts.mean(dim=0), matrix.float()
