"""The figures of an evaluation: each class's value in the sample and in every resample of its patients."""

from dataclasses import dataclass

import numpy as np

from cxrlt_cli.metrics.bootstrap import resample
from cxrlt_cli.metrics.calibration import expected_calibration_error, sigmoid
from cxrlt_cli.metrics.intervals import percentile_interval
from cxrlt_cli.metrics.ranking import PerClass, average_precision, means_of_defined, per_class
from cxrlt_cli.metrics.resampled_decisions import resample_calibration_error, resample_decisions
from cxrlt_cli.metrics.thresholds import decide
from cxrlt_cli.scores.decisions import Thresholds
from cxrlt_cli.scores.labelled import Scored


@dataclass(frozen=True)
class Figure:
    """A figure with its uncertainty.

    Attributes:
        value: (C,) in the sample, or () for one of all classes.
        resampled: (R, C) or (R,) in resamples; R is 0 where none were drawn.
    """

    value: np.ndarray
    resampled: np.ndarray

    def mean(self, classes: np.ndarray) -> "Figure":
        """The mean over the classes (a bool or index array) in which it is defined, resample by resample."""
        return Figure(means_of_defined(self.value[classes]), means_of_defined(self.resampled[:, classes]))

    def weighted(self, weights: "Figure") -> "Figure":
        """The mean over classes with weights, an undefined class being left out."""
        return Figure(_weighted(self.value, weights.value), _weighted(self.resampled, weights.resampled))

    def undefined_is_zero(self) -> "Figure":
        """What is undefined counts 0, as in the challenge."""
        return Figure(np.nan_to_num(self.value, nan=0.0), np.nan_to_num(self.resampled, nan=0.0))

    @property
    def interval(self) -> np.ndarray:
        """(2, ...) the bounds of the 95 % interval; NaN without resamples."""
        if not len(self.resampled):
            return np.full((2, *self.value.shape), np.nan)
        return percentile_interval(self.resampled)


def _weighted(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    weights = np.where(np.isnan(values), 0.0, weights)
    total = weights.sum(axis=-1)
    return np.where(total > 0, (np.nan_to_num(values) * weights).sum(axis=-1) / np.maximum(total, 1e-300), np.nan)


def ranking_figures(scored: Scored, resamples: int, seed: int) -> tuple[PerClass, dict[str, Figure]]:
    """Counts, and the figures `ap`, `auroc`, `positives`, `prevalence` and `ap_over_prevalence`, (C,) each."""
    found = per_class(scored.logits, scored.targets, scored.label_mask)
    again = resample(scored.logits[None], scored.targets, scored.label_mask, scored.patients, resamples, seed)
    prevalence = Figure(found.prevalence, again.prevalence)
    ap = Figure(found.ap, again.ap[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        over = Figure(ap.value / prevalence.value, ap.resampled / prevalence.resampled)
    return found, {
        "ap": ap,
        "auroc": Figure(found.auroc, again.auroc[0]),
        "ap_over_prevalence": over,
        "prevalence": prevalence,
        "positives": Figure(found.positives.astype(float), again.positives),
    }


def decision_figures(scored: Scored, thresholds: Thresholds, resamples: int, seed: int) -> dict[str, Figure]:
    """`f1`, `sensitivity`, `specificity` and `ece`, (C,) each, and `micro_f1`. Thresholds are the same in every resample."""
    given = (scored.targets, scored.label_mask, scored.patients, resamples, seed)
    best = decide(scored.logits, scored.targets, scored.label_mask, thresholds.f1)
    best_again = resample_decisions(scored.logits >= thresholds.f1, *given)
    at = decide(scored.logits, scored.targets, scored.label_mask, thresholds.specificity)
    at_again = resample_decisions(scored.logits >= thresholds.specificity, *given)
    p = sigmoid(scored.logits)
    columns = [(p[rows, c], scored.targets[rows, c]) for c, rows in enumerate(scored.label_mask.T)]
    return {
        "f1": Figure(best.f1, best_again.f1),
        "micro_f1": Figure(best.micro_f1, best_again.micro_f1),
        "sensitivity": Figure(at.sensitivity, at_again.sensitivity),
        "specificity": Figure(at.specificity, at_again.specificity),
        "ece": Figure(
            np.array([expected_calibration_error(*column) for column in columns]),
            resample_calibration_error(p, *given),
        ),
    }


def micro_ap(scored: Scored, resamples: int, seed: int) -> Figure:
    """AP of all known labels in one ranking, () and (R,)."""
    scores, targets = scored.logits[scored.label_mask], scored.targets[scored.label_mask]
    patients = np.broadcast_to(scored.patients[:, None], scored.label_mask.shape)[scored.label_mask]
    every = np.ones((len(scores), 1), dtype=bool)
    again = resample(scores[None, :, None], targets[:, None], every, patients, resamples, seed)
    return Figure(np.array(average_precision(scores, targets)), again.ap[0, :, 0])
