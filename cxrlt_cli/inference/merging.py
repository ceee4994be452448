"""Merging the scores of views and of models. Logits come in and go out, so that nothing ties near 0 and 1."""

import numpy as np


def merge_logits(logits: np.ndarray, how: str) -> np.ndarray:
    """The logit of the merged probability.

    With p = sigmoid(logit): `geomean` gives p* = (p_1 … p_V)^(1/V), the paper's choice; `mean` the arithmetic mean. Both are
    computed in float64 through log p = -log(1 + exp(-x)), so that probabilities that float32 rounds to 0 or 1 keep their order.

    Args:
        logits: (V, ...) finite logits of V views or models.
        how: `geomean` or `mean`.

    Returns:
        (...) float64 logits log(p* / (1 - p*)).
    """
    x = logits.astype(np.float64)
    if how == "geomean":
        log_p = np.mean(-np.logaddexp(0.0, -x), axis=0)
        merged: np.ndarray = log_p - np.log(-np.expm1(np.minimum(log_p, -np.finfo(np.float64).tiny)))
        return merged
    if how != "mean":
        raise ValueError(f"unknown merge {how!r}")
    log_p = np.logaddexp.reduce(-np.logaddexp(0.0, -x), axis=0)
    log_not_p = np.logaddexp.reduce(-np.logaddexp(0.0, x), axis=0)
    return np.asarray(log_p - log_not_p)
