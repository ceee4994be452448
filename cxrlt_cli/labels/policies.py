"""What uncertain, blank and lacking labels become: afterwards a label is 1, 0 or unknown."""

import numpy as np

from cxrlt_cli.artifacts.source_table import BLANK

UNCERTAIN = -1


def to_targets(labels: np.ndarray, missing: str, uncertain: str) -> tuple[np.ndarray, np.ndarray]:
    """Applies the policies to labels as published.

    Args:
        labels: (N, C) int8: 1, 0, -1 (uncertain) or BLANK; a class that the source lacks is BLANK throughout.
        missing: `absent` makes BLANK 0 (what the paper does), `ignore` unknown.
        uncertain: `positive` makes -1 1, `negative` 0, `ignore` unknown.

    Returns:
        targets (N, C) uint8 and known (N, C) bool.
    """
    positive = labels == 1
    known = labels >= 0
    if uncertain != "ignore":
        known = known | (labels == UNCERTAIN)
    if uncertain == "positive":
        positive = positive | (labels == UNCERTAIN)
    if missing == "absent":
        known = known | (labels == BLANK)
    return positive.astype(np.uint8), known
