"""From predictions of all variants and seeds to a study's figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrlt_cli.labels.groups import GROUPS
from cxrlt_cli.metrics.bootstrap import resample
from cxrlt_cli.metrics.intervals import holm, p_values, percentile_interval, t_interval
from cxrlt_cli.metrics.ranking import per_class

#: The columns of means: all classes, then the groups.
MEANS = ("all", *GROUPS)


@dataclass(frozen=True)
class Reference:
    """What predictions are held against.

    Attributes:
        classes: (C,) names.
        groups: (C,) head, medium or tail.
        targets: (N, C) 1 or 0.
        label_mask: (N, C) bool.
        patients: (N,) ids.
    """

    classes: Sequence[str]
    groups: Sequence[str | None]
    targets: np.ndarray
    label_mask: np.ndarray
    patients: np.ndarray


@dataclass(frozen=True)
class Scored:
    """AP of a variant.

    Attributes:
        point: (S, C), a row a seed.
        resampled: (R, S, C), in the same resamples for every variant.
    """

    point: np.ndarray
    resampled: np.ndarray


def score(logits: Sequence[Sequence[np.ndarray]], reference: Reference, resamples: int) -> list[Scored]:
    """AP of each variant, seed and class.

    Args:
        logits: (N, C) for each variant and seed.
        reference: labels and patients of the same rows and columns.
        resamples: of the patients, the same for all.
    """
    scores = np.stack([one for variant in logits for one in variant])
    point = np.stack([per_class(one, reference.targets, reference.label_mask).ap for one in scores])
    resampled = resample(scores, reference.targets, reference.label_mask, reference.patients, resamples).ap.swapaxes(0, 1)
    ends = np.cumsum([len(variant) for variant in logits])
    return [Scored(point[end - len(v) : end], resampled[:, end - len(v) : end]) for v, end in zip(logits, ends, strict=True)]


def mean_rows(
    names: Sequence[str], scored: Sequence[Scored], reference: Reference, chain: bool, bases: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """A row for each variant and mean (all classes, head, medium, tail).

    mAP is the mean over classes and seeds, its interval that of patients; `sd` the spread over seeds. `difference` is to the
    base, paired by resample, with interval and p-value, and with the 95 % interval over seeds (Student's t of the paired
    differences); `holm` corrects for the number of variants with that base. `to_former` is the difference to the variant
    before, in a chain.

    Args:
        names: of the variants.
        scored: their AP.
        reference: labels and groups.
        chain: whether each variant adds something to the one before it.
        bases: index of each variant's base, its own index for a base; None where all are compared with the first.
    """
    rows = []
    bases = bases or [0] * len(names)
    for mean in MEANS:
        columns = _columns(mean, reference)
        if not columns.any():
            continue
        points = [_over_classes(one.point[:, columns]) for one in scored]
        resampled = [_over_classes(one.resampled[..., columns]).mean(axis=1) for one in scored]
        corrected = _corrected(resampled, bases)
        for at, name in enumerate(names):
            low, high = percentile_interval(resampled[at][:, None])[:, 0]
            row = {"variant": name, "mean": mean, "seeds": len(points[at]), "mAP": points[at].mean(), "low": low, "high": high}
            row["sd"] = points[at].std(ddof=1) if len(points[at]) > 1 else np.nan
            base = bases[at]
            if base != at:
                row |= {"base": names[base]}
                row |= _difference("difference", points[at], points[base], resampled[at], resampled[base])
                row |= {"holm": corrected[at]}
            if chain and at:
                row |= _difference("to_former", points[at], points[at - 1], resampled[at], resampled[at - 1])
            rows.append(row)
    return rows


def _corrected(resampled: Sequence[np.ndarray], bases: Sequence[int]) -> dict[int, float]:
    """Index of a variant -> its p-value by Holm, among the variants with the same base."""
    found: dict[int, float] = {}
    for base in set(bases):
        own = [at for at, other in enumerate(bases) if other == base != at]
        p = holm(np.array([float(p_values(resampled[at] - resampled[base])) for at in own]))
        found |= dict(zip(own, p.tolist(), strict=True))
    return found


def class_rows(
    names: Sequence[str], scored: Sequence[Scored], reference: Reference, bases: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """A row for each variant and class; `holm` corrects for the number of classes. Arguments as of `mean_rows`."""
    rows = []
    bases = bases or [0] * len(names)
    for at, (name, one) in enumerate(zip(names, scored, strict=True)):
        base = scored[bases[at]]
        differences = one.resampled.mean(axis=1) - base.resampled.mean(axis=1)
        bounds, p = percentile_interval(differences), p_values(differences)
        corrected = holm(p)
        for c, label in enumerate(reference.classes):
            points = one.point[:, c]
            row: dict[str, Any] = {
                "variant": name,
                "class": label,
                "group": reference.groups[c],
                "positives": int(reference.targets[:, c].sum()),
            }
            row |= {"ap": points.mean(), "sd": points.std(ddof=1) if len(points) > 1 else np.nan}
            if at != bases[at]:
                row |= {"difference": points.mean() - base.point[:, c].mean(), "low": bounds[0, c], "high": bounds[1, c]}
                row |= {"p": p[c], "holm": corrected[c]}
            rows.append(row)
    return rows


def _difference(key: str, points: np.ndarray, base: np.ndarray, resampled: np.ndarray, of_base: np.ndarray) -> dict[str, Any]:
    differences = resampled - of_base
    low, high = percentile_interval(differences[:, None])[:, 0]
    paired = points - base if len(points) == len(base) > 1 else None
    return {
        key: points.mean() - base.mean(),
        f"{key}_low": low,
        f"{key}_high": high,
        f"{key}_p": float(p_values(differences)),
        f"{key}_sd": np.nan if paired is None else paired.std(ddof=1),
        f"{key}_seeds_low": np.nan if paired is None else t_interval(paired)[0],
        f"{key}_seeds_high": np.nan if paired is None else t_interval(paired)[1],
    }


def _columns(mean: str, reference: Reference) -> np.ndarray:
    """(C,) bool: the classes of a mean that have a positive."""
    some = ((reference.targets == 1) & reference.label_mask).any(axis=0)
    found: np.ndarray = some if mean == "all" else some & np.array([group == mean for group in reference.groups])
    return found


def _over_classes(ap: np.ndarray) -> np.ndarray:
    """The mean over the last axis of what is defined: a resample may lack a class. NaN where it lacks all."""
    defined = ~np.isnan(ap)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(defined, ap, 0.0).sum(axis=-1) / defined.sum(axis=-1))
