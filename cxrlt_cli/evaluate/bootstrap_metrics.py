"""The metrics of an evaluation: the value of each class in the sample and in bootstrap resamples of the patients."""

from dataclasses import dataclass

import numpy as np

from cxrlt_cli.metrics.bootstrap import resample
from cxrlt_cli.metrics.calibration import expected_calibration_error, sigmoid
from cxrlt_cli.metrics.intervals import combined_interval, mean_proportion_interval, percentile_interval
from cxrlt_cli.metrics.proportions import proportion
from cxrlt_cli.metrics.ranking import PerClass
from cxrlt_cli.metrics.ranking_intervals import ClassEstimates, MeanEstimate, estimate
from cxrlt_cli.metrics.resampled_decisions import resample_calibration_error, resample_decisions
from cxrlt_cli.metrics.thresholds import decide
from cxrlt_cli.scores.decisions import Row, Thresholds
from cxrlt_cli.scores.labelled import Scored


@dataclass(frozen=True)
class Metric:
    """A metric with its uncertainty.

    Attributes:
        value: (C,) in the sample, or () for a mean over classes.
        resampled: (R, C) or (R,) in R resamples; R may be 0.
        bounds: (2, C) or (2,) of the 95 % interval; None for the percentiles over resamples.
        trials: (C,) effective number, if the values are proportions whose mean has the interval of `mean_proportion_interval`.
    """

    value: np.ndarray
    resampled: np.ndarray
    bounds: np.ndarray | None = None
    trials: np.ndarray | None = None

    def mean(self, classes: np.ndarray) -> "Metric":
        """The mean over the given classes (a bool or index array) with a defined value, in each resample."""
        chosen = np.zeros(len(self.value))
        chosen[classes] = 1
        return self.weighted(chosen, np.broadcast_to(chosen, self.resampled.shape))

    def weighted(self, weights: np.ndarray, resampled_weights: np.ndarray) -> "Metric":
        """The mean over classes, with (C,) weights, (R, C) in resamples; undefined values are left out.

        If the classes have bounds of their own, they are combined to those of the mean.
        """
        bounds = None if self.bounds is None else self._mean_bounds(self.bounds, weights)
        return Metric(_weighted(self.value, weights), _weighted(self.resampled, resampled_weights), bounds)

    def _mean_bounds(self, bounds: np.ndarray, weights: np.ndarray) -> np.ndarray:
        if self.trials is None:
            return combined_interval(self.value, bounds, weights, self.resampled)
        return mean_proportion_interval(self.value, bounds, self.trials, weights, self.resampled)

    @property
    def interval(self) -> np.ndarray:
        """(2, ...) lower and upper bound of the 95 % interval; NaN without resamples."""
        if self.bounds is not None:
            return self.bounds
        if not len(self.resampled):
            return np.full((2, *self.value.shape), np.nan)
        return percentile_interval(self.resampled)


#: Name of a metric -> its values of all classes.
Metrics = dict[str, Metric | ClassEstimates]


def _weighted(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    weights = np.where(np.isnan(values), 0.0, weights)
    total = weights.sum(axis=-1)
    return np.where(total > 0, (np.nan_to_num(values) * weights).sum(axis=-1) / np.maximum(total, 1e-300), np.nan)


def ranking_metrics(scored: Scored, resamples: int, seed: int) -> tuple[PerClass, Metrics]:
    """Counts, and the metrics `ap`, `auroc`, `positives`, `prevalence` and `ap_over_prevalence`, (C,) each."""
    truth = scored.targets, scored.label_mask, scored.patients
    again = resample(scored.logits[None], *truth, resamples, seed)
    found, ap, auroc = estimate(scored.logits, *truth, again)
    prevalence = Metric(found.prevalence, again.prevalence)
    with np.errstate(divide="ignore", invalid="ignore"):  # the prevalence counts as exact in the interval
        over = Metric(ap.value / prevalence.value, ap.resampled / prevalence.resampled, ap.interval / prevalence.value)
    return found, {
        "ap": ap,
        "auroc": auroc,
        "ap_over_prevalence": over,
        "prevalence": prevalence,
        "positives": Metric(found.positives.astype(float), again.positives),
    }


def decision_metrics(
    scored: Scored, thresholds: Thresholds, decisions: list[Row], resamples: int, seed: int
) -> dict[str, Metric]:
    """`f1`, `sensitivity`, `specificity` and `ece`, (C,) each, and `micro_f1`. The thresholds are fixed over resamples.

    Args:
        scored: what was scored.
        thresholds: of each class.
        decisions: rows of `scores.decisions.decision_rows`, which have the exact intervals of the classes.
        resamples: how many.
        seed: of the resamples.
    """
    given = (scored.targets, scored.label_mask, scored.patients, resamples, seed)
    best = decide(scored.logits, scored.targets, scored.label_mask, thresholds.f1)
    best_again = resample_decisions(scored.logits >= thresholds.f1, *given)
    at = decide(scored.logits, scored.targets, scored.label_mask, thresholds.specificity)
    at_again = resample_decisions(scored.logits >= thresholds.specificity, *given)
    p = sigmoid(scored.logits)
    columns = [(p[rows, c], scored.targets[rows, c]) for c, rows in enumerate(scored.label_mask.T)]
    return {
        "f1": Metric(best.f1, best_again.f1, _bounds(decisions, "f1", "f1")),
        "micro_f1": Metric(best.micro_f1, best_again.micro_f1),
        "sensitivity": Metric(
            at.sensitivity,
            at_again.sensitivity,
            _bounds(decisions, "specificity", "sensitivity"),
            _sensitivity_trials(scored, thresholds.specificity),
        ),
        "specificity": Metric(at.specificity, at_again.specificity, _bounds(decisions, "specificity", "specificity")),
        "ece": Metric(
            np.array([expected_calibration_error(*column) for column in columns]),
            resample_calibration_error(p, *given),
        ),
    }


def _sensitivity_trials(scored: Scored, thresholds: np.ndarray) -> np.ndarray:
    """(C,) effective number of positives."""
    trials = []
    for c, known in enumerate(scored.label_mask.T):
        called, positive = scored.logits[known, c] >= thresholds[c], scored.targets[known, c] == 1
        trials.append(proportion(called, positive, scored.patients[known]).trials)
    return np.array(trials)


def _bounds(decisions: list[Row], rule: str, ratio: str) -> np.ndarray:
    """(2, C) bounds of a ratio at the thresholds of a rule."""
    rows = [row for row in decisions if row["rule"] == rule]
    return np.array([[row[f"{ratio}_{end}"] for row in rows] for end in ("low", "high")], dtype=float)


def micro_ap(scored: Scored, resamples: int, seed: int) -> MeanEstimate:
    """Micro-averaged AP: all known labels of all classes in one ranking."""
    scores, targets = scored.logits[scored.label_mask][:, None], scored.targets[scored.label_mask][:, None]
    patients = np.broadcast_to(scored.patients[:, None], scored.label_mask.shape)[scored.label_mask]
    truth = targets, np.ones(targets.shape, dtype=bool), patients
    _, ap, _ = estimate(scores, *truth, resample(scores[None], *truth, resamples, seed))
    return ap.mean(np.array([True]))
