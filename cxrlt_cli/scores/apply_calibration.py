"""Applies a calibration to predictions."""

from dataclasses import replace
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.calibration import Calibration
from cxrlt_cli.artifacts.data_sources import joined_sources
from cxrlt_cli.artifacts.predictions import AppliedCalibration, Predictions, PredictionsHeader
from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.metrics.calibration import isotonic_logits, keeping_order
from cxrlt_cli.scores.labelled import Scored


def refuse_other_classes(calibration: Calibration, classes: list[str]) -> None:
    """Raises UserError if a class has no calibration."""
    absent = [name for name in classes if name not in calibration.fitted]
    if absent:
        raise UserError(
            f"{calibration.path} has no calibration for {listed(absent)}", "fit one on predictions of the same classes"
        )


def apply_calibration(predictions: Predictions, calibration: Calibration) -> Predictions:
    """Calibrated predictions; their header names the calibration. Warns if it was fitted on other runs, views or merging.

    Raises:
        UserError: a class has no calibration, or the predictions are calibrated already.
    """
    header = _header(predictions.header, predictions.classes, calibration)
    return replace(predictions, logits=calibrated(predictions.logits, predictions.classes, calibration), header=header)


def calibrated_scores(scored: Scored, calibration: Calibration) -> Scored:
    """The same for predictions joined with labels. Raises UserError as `apply_calibration` does."""
    header = _header(scored.header, scored.classes, calibration)
    return replace(scored, logits=calibrated(scored.logits, scored.classes, calibration), header=header)


def _header(header: PredictionsHeader, classes: list[str], calibration: Calibration) -> PredictionsHeader:
    refuse_other_classes(calibration, classes)
    if header.calibration:
        raise UserError(f"the predictions are already calibrated by {header.calibration.name}", "calibrate once")
    fitted_on = calibration.header.fitted_on
    for what in ("runs", "views", "merge"):
        then, now = getattr(fitted_on, what), getattr(header, what)
        if then != now:
            warn(f"{calibration.path} was fitted with {what} {then}, these predictions have {now}")
    applied = AppliedCalibration(calibration.path.stem, calibration.method, fitted_on)
    sources = joined_sources(header.data_sources, calibration.header.data_sources)
    return replace(header, calibration=applied, data_sources=sources)


def calibrated(logits: np.ndarray, classes: list[str], calibration: Calibration) -> np.ndarray:
    """(N, C) float32 logits of the calibrated probabilities. Their order within a class is kept, so AP does not change.

    Args:
        logits: (N, C) float32.
        classes: names of the columns; the calibration has all of them.
        calibration: a class without a fit is left unchanged.
    """
    out = logits.astype(np.float32)
    for c, name in enumerate(classes):
        out[:, c] = calibrated_column(out[:, c], calibration.fitted[name])
    return out


def calibrated_column(logits: np.ndarray, fitted: dict[str, Any]) -> np.ndarray:
    """(N,) float32 calibrated logits of one class, in the order of the given (N,) float32.

    Args:
        logits: of any images.
        fitted: the class's entry of `Calibration.fitted`.
    """
    x = logits.astype(np.float64)
    if "temperature" in fitted:
        return keeping_order(x / fitted["temperature"] + fitted.get("bias", 0.0), logits)
    if fitted:
        places, probabilities = (np.array(fitted[key]) for key in ("logits", "probabilities"))
        return keeping_order(isotonic_logits(x, places, probabilities), logits)
    return logits
