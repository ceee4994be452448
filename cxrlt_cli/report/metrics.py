"""The numbers of a report: figures with intervals, by class and by group, of each subject and paired between them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cxrlt_cli.labels.groups import GROUPS
from cxrlt_cli.metrics.bootstrap import Resampled, resample
from cxrlt_cli.metrics.intervals import p_values, percentile_interval
from cxrlt_cli.metrics.ranking import PerClass, per_class
from cxrlt_cli.report.subjects import Subject


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; NaN where undefined."""

    value: float
    low: float
    high: float


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
        resamples: of the patients.
        seed: of the resamples.

    Returns:
        A `Numbers` a subject, and for each but the first its differences; none where they cannot be paired.
    """
    paired = same_images(subjects)
    if paired:
        first = subjects[0].scored
        stacked = np.stack([one.scored.logits for one in subjects])
        together = resample(stacked, first.targets, first.label_mask, first.patients, resamples, seed)
        drawn = [replace(together, ap=together.ap[m : m + 1], auroc=together.auroc[m : m + 1]) for m in range(len(subjects))]
    else:
        drawn = [_resampled(one, resamples, seed) for one in subjects]
    chosen = _members(groups)
    numbers = [_numbers(one, sample, chosen) for one, sample in zip(subjects, drawn, strict=True)]
    if not paired:
        return numbers, []
    others = zip(numbers[1:], drawn[1:], strict=True)
    return numbers, [_differences(numbers[0], drawn[0], number, sample, chosen) for number, sample in others]


def _resampled(subject: Subject, resamples: int, seed: int) -> Resampled:
    scored = subject.scored
    return resample(scored.logits[None], scored.targets, scored.label_mask, scored.patients, resamples, seed)


def _members(groups: list[Any]) -> dict[str, np.ndarray]:
    """Group -> (C,) bool."""
    named = np.array(groups, dtype=object)
    return {"all": np.ones(len(groups), dtype=bool), **{name: named == name for name in GROUPS if (named == name).any()}}


def _numbers(subject: Subject, drawn: Resampled, chosen: dict[str, np.ndarray]) -> Numbers:
    scored = subject.scored
    figures = per_class(scored.logits, scored.targets, scored.label_mask)
    means = {name: _mean(figures.ap, drawn.ap[0], members) for name, members in chosen.items()}
    auroc = _mean(figures.auroc, drawn.auroc[0], chosen["all"])
    return Numbers(figures, _estimates(figures.ap, drawn.ap[0]), _estimates(figures.auroc, drawn.auroc[0]), means, auroc)


def _estimates(values: np.ndarray, drawn: np.ndarray) -> list[Estimate]:
    low, high = percentile_interval(drawn)
    return [Estimate(*map(float, row)) for row in zip(values, low, high, strict=True)]


def _mean(values: np.ndarray, drawn: np.ndarray, members: np.ndarray) -> Estimate:
    [estimate] = _estimates(np.array([_mean_defined(values[None, members])[0]]), _mean_defined(drawn[:, members])[:, None])
    return estimate


def _mean_defined(values: np.ndarray) -> np.ndarray:
    """(R,) means of (R, C) over what is defined, NaN where nothing is."""
    there = ~np.isnan(values)
    count = there.sum(axis=1)
    return np.where(count > 0, np.where(there, values, 0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _differences(
    first: Numbers, first_drawn: Resampled, other: Numbers, drawn: Resampled, chosen: dict[str, np.ndarray]
) -> list[Difference]:
    rows = []
    for name, members in chosen.items():
        sampled = _mean_defined(drawn.ap[0][:, members]) - _mean_defined(first_drawn.ap[0][:, members])
        value = other.means[name].value - first.means[name].value
        [estimate] = _estimates(np.array([value]), sampled[:, None])
        rows.append(Difference(name, estimate, float(p_values(sampled[:, None])[0])))
    return rows
