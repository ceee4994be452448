"""Merging the scores of views, of models and of a study's images. Input and output are logits: they do not tie near 0 and 1."""

import numpy as np


def merge_logits(logits: np.ndarray, how: str, weights: np.ndarray | None = None) -> np.ndarray:
    """The logit of the merged probability.

    With p = sigmoid(x) and weights w that sum to 1: `geomean` gives p* = p_1^w_1 … p_V^w_V, the paper's choice; `mean` gives
    w_1 p_1 + … + w_V p_V; `logits` the sigmoid of w_1 x_1 + … + w_V x_V, which is the geometric mean of the odds. All are
    computed in float64 through log p = -log(1 + exp(-x)), so that probabilities that float32 rounds to 0 or 1 keep their order.
    Merging in several steps gives the same result as merging all at once.

    Args:
        logits: (V, ...) finite logits of V views, models or images.
        how: `geomean`, `mean` or `logits`.
        weights: (V,), or (V, ...) of a shape that broadcasts, not negative; only ratios matter. None for equal weights.

    Returns:
        (...) float64 logits log(p* / (1 - p*)).
    """
    x = logits.astype(np.float64)
    w = _normalised(x, weights)
    if how == "logits":
        return np.asarray((w * x).sum(axis=0))
    if how == "geomean":
        log_p = (w * -np.logaddexp(0.0, -x)).sum(axis=0)
        return np.asarray(log_p - np.log(-np.expm1(np.minimum(log_p, -np.finfo(np.float64).tiny))))
    if how != "mean":
        raise ValueError(f"unknown merge {how!r}")
    with np.errstate(divide="ignore"):  # log 0 = -inf: a weight of 0 adds nothing
        log_w = np.log(w)
    log_p = np.logaddexp.reduce(log_w - np.logaddexp(0.0, -x), axis=0)
    log_not_p = np.logaddexp.reduce(log_w - np.logaddexp(0.0, x), axis=0)
    return np.asarray(log_p - log_not_p)


def _normalised(x: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """The weights in a shape that broadcasts against (V, ...), summing to 1 over V."""
    if weights is None:
        return np.full((len(x),) + (1,) * (x.ndim - 1), 1.0 / len(x))
    w = weights.astype(np.float64)
    if w.ndim == 1:
        w = w.reshape((len(w),) + (1,) * (x.ndim - 1))
    return np.asarray(w / w.sum(axis=0))
