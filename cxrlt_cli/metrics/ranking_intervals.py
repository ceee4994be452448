"""AP and AUROC of each class and their means over classes, with 95 % intervals from resamples of the patients.

A class: Student's t interval on the logit scale (`logit_interval`), around the corrected AP or the AUROC itself, with as many
degrees of freedom as patients with a positive, counted by `patients_with`.

A mean over classes: the same, around the mean of the corrected AP or of the AUROC, with the standard deviation of the mean over
resamples and Satterthwaite's degrees of freedom (Biometrics Bulletin 1946), (sum v)^2 / sum (v^2 / K) of the classes' variances
v. Two things are added where a few classes with few positives decide the mean:

- AP is skewed: a class of six positives may well have twice the AP. The classes' own intervals, which are wider above, are
  combined to one of the mean with the classes' correlation; where it is wider, the bound is half way to it.
- the AUROC of one or two positive patients hardly varies over resamples, which cannot know what another patient would score.
  Such a class takes at least the variance that a positive patient of the other classes has.
"""

from dataclasses import dataclass, replace

import numpy as np

from cxrlt_cli.metrics.bootstrap import Resampled
from cxrlt_cli.metrics.corrected_ap import corrected_ap, patients_with
from cxrlt_cli.metrics.intervals import MIN_POSITIVE_PATIENTS, logit_interval, std_of_defined
from cxrlt_cli.metrics.ranking import PerClass, mean_of_defined, means_of_defined, per_class


@dataclass(frozen=True)
class MeanEstimate:
    """A mean over classes.

    Attributes:
        value: () of the plain values.
        corrected: () of the corrected ones.
        interval: (2,) lower and upper bound, NaN where there is none.
        skewed: whether it is of AP.
    """

    value: np.ndarray
    corrected: np.ndarray
    interval: np.ndarray
    skewed: bool


@dataclass(frozen=True)
class ClassEstimates:
    """AP or AUROC of each class, with what its uncertainty is computed from.

    Attributes:
        value: (C,) in the sample, NaN where undefined.
        corrected: (C,) the middle of the interval: the corrected AP; the AUROC itself.
        resampled: (R, C) in resamples of the patients; R is 0 where none were drawn.
        patients: (C,) patients with a positive; of AUROC with a negative, where these are fewer.
        effective_patients: (C,) their effective number.
        skewed: whether a mean is of AP, which is skewed, or of AUROC (see above).
    """

    value: np.ndarray
    corrected: np.ndarray
    resampled: np.ndarray
    patients: np.ndarray
    effective_patients: np.ndarray
    skewed: bool

    @property
    def std(self) -> np.ndarray:
        """(C,) standard deviation over resamples; NaN without resamples."""
        return std_of_defined(self.resampled)

    @property
    def interval(self) -> np.ndarray:
        """(2, C) bounds; NaN without resamples, and below `MIN_POSITIVE_PATIENTS` patients."""
        return logit_interval(self.corrected, self.std, self.effective_patients, self.patients)

    def undefined_is_zero(self) -> "ClassEstimates":
        """What is undefined counts 0, as in the challenge."""
        value, corrected, resampled = (np.nan_to_num(one, nan=0.0) for one in (self.value, self.corrected, self.resampled))
        return replace(self, value=value, corrected=corrected, resampled=resampled)

    def mean(self, classes: np.ndarray) -> MeanEstimate:
        """The mean over the classes (a bool or index array) in which it is defined."""
        value, corrected = mean_of_defined(self.value[classes]), mean_of_defined(self.corrected[classes])
        chosen = np.arange(len(self.value))[classes]
        chosen = chosen[~np.isnan(self.corrected[chosen])]
        weights = np.full(len(chosen), 1 / max(len(chosen), 1))
        bounds = self._mean_interval(chosen, weights, corrected, means_of_defined(self.resampled[:, chosen]))
        return MeanEstimate(np.array(value), np.array(corrected), bounds, self.skewed)

    def weighted(self, weights: np.ndarray, resampled_weights: np.ndarray) -> MeanEstimate:
        """The mean over classes with (C,) weights, (R, C) in resamples, such as the numbers of positives."""
        chosen = np.flatnonzero(~np.isnan(self.corrected))
        own = weights[chosen] / max(weights[chosen].sum(), 1e-300)
        value, corrected = ((own * one[chosen]).sum() if len(chosen) else np.nan for one in (self.value, self.corrected))
        total = resampled_weights[:, chosen].sum(axis=1)
        summed = np.nansum(self.resampled[:, chosen] * resampled_weights[:, chosen], axis=1)
        means = np.where(total > 0, summed / np.maximum(total, 1e-300), np.nan)
        bounds = self._mean_interval(chosen, own, float(corrected), means)
        return MeanEstimate(np.array(value), np.array(corrected), bounds, self.skewed)

    def _mean_interval(self, chosen: np.ndarray, weights: np.ndarray, middle: float, means: np.ndarray) -> np.ndarray:
        """(2,) bounds of a weighted mean over chosen classes, whose values in resamples are `means` (R,)."""
        if not len(chosen):
            return np.full(2, np.nan)
        patients, effective = self.patients[chosen], np.maximum(self.effective_patients[chosen], 1.0)
        own, drawn = std_of_defined(self.resampled[:, chosen]), float(std_of_defined(means))
        variances, degrees = np.nan_to_num(own) ** 2, effective
        if not self.skewed:
            added = _added_variance(variances, patients, effective)
            variances, degrees = variances + added, np.where(added > 0, np.inf, effective)
            drawn = float(np.sqrt(drawn**2 + (weights**2 * added).sum()))
        shares = weights**2 * variances
        freedom = shares.sum() ** 2 / (shares**2 / degrees).sum() if shares.any() else effective.min()
        bounds = logit_interval(np.array(middle), np.array(drawn), np.array(freedom), patients.max())
        return self._widened(bounds, middle, chosen, weights) if self.skewed else bounds

    def _widened(self, bounds: np.ndarray, middle: float, chosen: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Bounds that are half way to those of the classes' own intervals combined, where these are wider."""
        own = np.nan_to_num(std_of_defined(self.resampled[:, chosen]))
        every = np.full(len(chosen), MIN_POSITIVE_PATIENTS)
        sides = np.abs(
            logit_interval(self.corrected[chosen], own, np.full(len(chosen), np.inf), every) - self.corrected[chosen]
        )
        standard = self.resampled[:, chosen] - means_of_defined(self.resampled[:, chosen].T)
        standard = np.nan_to_num(standard / np.where(own > 0, own, np.inf))
        combined = np.sqrt((((standard * weights) @ sides.T) ** 2).sum(axis=0) / max(len(standard) - 1, 1))
        half = np.abs(bounds - middle)
        half = np.maximum(half, (half + combined) / 2)
        found: np.ndarray = np.clip(middle + np.array([-1, 1]) * half, 0, 1)
        return found


def _added_variance(variances: np.ndarray, patients: np.ndarray, effective: np.ndarray) -> np.ndarray:
    """(C,) what the variance of classes of few patients lacks to that of a positive patient of the other classes."""
    few = patients < MIN_POSITIVE_PATIENTS
    if few.all():
        return np.zeros(len(variances))
    of_a_patient = (effective * variances)[~few].mean()
    return np.where(few, np.maximum(of_a_patient / effective - variances, 0.0), 0.0)


def estimate(
    scores: np.ndarray,
    targets: np.ndarray,
    label_mask: np.ndarray,
    patients: np.ndarray,
    resampled: Resampled,
    model: int = 0,
) -> tuple[PerClass, ClassEstimates, ClassEstimates]:
    """Counts, and AP and AUROC of one scorer with their uncertainty.

    Args:
        scores: (N, C) finite.
        targets: (N, C) 1 or 0.
        label_mask: (N, C) bool.
        patients: (N,) ids.
        resampled: of the same scores.
        model: which of the scorers in `resampled` it is.
    """
    metrics = per_class(scores, targets, label_mask)
    positive, negative = label_mask & (targets == 1), label_mask & (targets == 0)
    positives, negatives = patients_with(positive, patients), patients_with(negative, patients)
    fewer = [np.minimum(*both) for both in zip(positives, negatives, strict=True)]
    corrected = corrected_ap(scores, targets, label_mask, patients)
    ap = ClassEstimates(metrics.ap, corrected, resampled.ap[model], positives[0], positives[1], True)
    return metrics, ap, ClassEstimates(metrics.auroc, metrics.auroc, resampled.auroc[model], fewer[0], fewer[1], False)
