"""The numbers of a report: metrics with intervals per class and group, and paired differences between subjects."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrlt_cli.labels.groups import GROUPS
from cxrlt_cli.metrics.paired import Scorers, paired, score_all
from cxrlt_cli.metrics.ranking import PerClass
from cxrlt_cli.metrics.ranking_intervals import ClassEstimates, MeanEstimate, estimate
from cxrlt_cli.report.subjects import Subject


@dataclass(frozen=True)
class Estimate:
    """A metric with its 95 % interval; NaN if undefined. For AP, `corrected` is the value corrected for its bias."""

    value: float
    low: float
    high: float
    corrected: float = float("nan")


@dataclass(frozen=True)
class Numbers:
    """The metrics of one subject.

    Attributes:
        per_class: counts and prevalence of each class.
        ap: (C,) average precision.
        auroc: (C,) area under the ROC curve.
        means: `all`, `head`, `medium`, `tail` -> mean AP.
        mean_auroc: over all classes.
    """

    per_class: PerClass
    ap: list[Estimate]
    auroc: list[Estimate]
    means: dict[str, Estimate]
    mean_auroc: Estimate


@dataclass(frozen=True)
class Difference:
    """Mean AP of a subject minus that of the first, on the same images, with the two-sided p-value."""

    group: str
    difference: Estimate
    p: float


def same_images(subjects: list[Subject]) -> bool:
    """Whether all subjects score the same images and classes, so that differences are paired."""
    first = subjects[0].scored
    return all(
        one.scored.classes == first.classes and one.scored.table["image_id"].equals(first.table["image_id"]) for one in subjects
    )


def numbers_of(
    subjects: list[Subject], groups: list[Any], resamples: int, seed: int
) -> tuple[list[Numbers], list[list[Difference]]]:
    """Metrics of every subject, and differences to the first if all score the same images.

    Args:
        subjects: of the report.
        groups: (C,) head, medium, tail or None.
        resamples: number of resamples of the patients for intervals, and of permutations for p-values.
        seed: of both.

    Returns:
        `Numbers` per subject, and the differences of each subject but the first; none if they cannot be paired.
    """
    chosen = _members(groups)
    if not same_images(subjects):
        return [_numbers(_scorers([one], resamples, seed), 0, chosen) for one in subjects], []
    scorers = _scorers(subjects, resamples, seed)
    numbers = [_numbers(scorers, model, chosen) for model in range(len(subjects))]
    return numbers, [_differences(scorers, model, chosen, resamples, seed) for model in range(1, len(subjects))]


def _scorers(subjects: list[Subject], resamples: int, seed: int) -> Scorers:
    first, logits = subjects[0].scored, np.stack([one.scored.logits for one in subjects])
    return score_all(logits, first.targets, first.label_mask, first.patients, resamples, seed)


def _members(groups: list[Any]) -> dict[str, np.ndarray]:
    """Group -> (C,) bool."""
    named = np.array(groups, dtype=object)
    return {"all": np.ones(len(groups), dtype=bool), **{name: named == name for name in GROUPS if (named == name).any()}}


def _numbers(scorers: Scorers, model: int, chosen: dict[str, np.ndarray]) -> Numbers:
    truth = scorers.targets, scorers.label_mask, scorers.patients
    per_class, ap, auroc = estimate(scorers.scores[model], *truth, scorers.resampled, model)
    means = {name: _estimate(ap.mean(members)) for name, members in chosen.items()}
    return Numbers(per_class, _estimates(ap), _estimates(auroc), means, _estimate(auroc.mean(chosen["all"])))


def _estimates(classes: ClassEstimates) -> list[Estimate]:
    low, high = classes.interval
    corrected = classes.corrected if classes.skewed else np.full(len(low), np.nan)
    return [Estimate(*map(float, row)) for row in zip(classes.value, low, high, corrected, strict=True)]


def _estimate(mean: MeanEstimate) -> Estimate:
    low, high = mean.interval
    corrected = float(mean.corrected) if mean.skewed else float("nan")
    return Estimate(float(mean.value), float(low), float(high), corrected)


def _differences(scorers: Scorers, model: int, chosen: dict[str, np.ndarray], permutations: int, seed: int) -> list[Difference]:
    ap, _ = paired(scorers, [0], [model], permutations, seed)
    rows = []
    for name, members in chosen.items():
        found = ap.of_mean(members)
        value, low, high, p = (float(one[0]) for one in (found.difference, found.low, found.high, found.p))
        rows.append(Difference(name, Estimate(value, low, high), p))
    return rows
