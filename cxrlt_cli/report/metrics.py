"""The numbers of a report: figures with intervals, by class and by group, of each subject and paired between them."""

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
    """A metric with its 95 % interval; NaN where undefined. Of AP, `corrected` is the value without its bias."""

    value: float
    low: float
    high: float
    corrected: float = float("nan")


@dataclass(frozen=True)
class Numbers:
    """What is known of one subject.

    Attributes:
        figures: of every class.
        ap: (C,) average precision.
        auroc: (C,) area under the ROC curve.
        means: `all`, `head`, `medium`, `tail` -> mean AP.
        mean_auroc: over all classes.
    """

    figures: PerClass
    ap: list[Estimate]
    auroc: list[Estimate]
    means: dict[str, Estimate]
    mean_auroc: Estimate


@dataclass(frozen=True)
class Difference:
    """A subject's mean AP less the first one's, on the same images: `p` is of no difference, two-sided."""

    group: str
    difference: Estimate
    p: float


def same_images(subjects: list[Subject]) -> bool:
    """Whether all subjects scored the same images and classes, so that they can be paired."""
    first = subjects[0].scored
    return all(
        one.scored.classes == first.classes and one.scored.table["image_id"].equals(first.table["image_id"]) for one in subjects
    )


def numbers_of(
    subjects: list[Subject], groups: list[Any], resamples: int, seed: int
) -> tuple[list[Numbers], list[list[Difference]]]:
    """Figures of every subject, and differences to the first where all scored the same images.

    Args:
        subjects: what is reported.
        groups: (C,) head, medium or tail, or None for each.
        resamples: of the patients for intervals, and as many swaps of two subjects for p-values.
        seed: of both.

    Returns:
        A `Numbers` a subject, and for each but the first its differences; none where they cannot be paired.
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
    figures, ap, auroc = estimate(scorers.scores[model], *truth, scorers.resampled, model)
    means = {name: _estimate(ap.mean(members)) for name, members in chosen.items()}
    return Numbers(figures, _estimates(ap), _estimates(auroc), means, _estimate(auroc.mean(chosen["all"])))


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
