"""The metrics of a study, from the predictions of all variants and seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cxrlt_cli.labels.groups import GROUPS
from cxrlt_cli.metrics.harmonic import harmonic_mean
from cxrlt_cli.metrics.intervals import holm, t_interval
from cxrlt_cli.metrics.paired import Differences, Paired, Scorers, paired, score_all
from cxrlt_cli.metrics.ranking_intervals import ClassEstimates, MeanEstimate, estimate

#: The columns of means: all classes, then the groups; in a dataset with held-out classes the groups are seen and unseen.
MEANS = ("all", *GROUPS, "seen", "unseen")


@dataclass(frozen=True)
class Reference:
    """The labels that predictions are compared with.

    Attributes:
        classes: (C,) names.
        groups: (C,) head, medium or tail; or seen and unseen.
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
    """AP and AUROC of a variant.

    Attributes:
        point: (S, C) AP, a row a seed.
        mean: AP of the seeds' mean, with intervals.
        auroc: AUROC of the seeds' mean, with intervals.
        to_base: paired with the variant's base, averaged over seeds; None for a base.
        to_former: paired with the variant before, in a chain; None elsewhere.
    """

    point: np.ndarray
    mean: ClassEstimates
    auroc: ClassEstimates
    to_base: Paired | None
    to_former: Paired | None


def score(
    logits: Sequence[Sequence[np.ndarray]],
    reference: Reference,
    draws: tuple[int, int],
    chain: bool = False,
    bases: Sequence[int] | None = None,
) -> list[Scored]:
    """AP of each variant, seed and class, and the pairs that are compared.

    Args:
        logits: (N, C) for each variant and seed.
        reference: labels and patients of the same rows and columns.
        draws: resamples of the patients for intervals, and permutations for p-values.
        chain: whether each variant adds something to the one before it.
        bases: index of each variant's base, its own index for a base; None where all are compared with the first.
    """
    truth = reference.targets, reference.label_mask, reference.patients
    scorers = score_all(np.stack([one for variant in logits for one in variant]), *truth, draws[0])
    ends = np.cumsum([len(variant) for variant in logits])
    members = [range(end - len(variant), end) for variant, end in zip(logits, ends, strict=True)]
    point = np.stack([one.ap for one in scorers.metrics])
    made = []
    for at, own in enumerate(members):
        base = bases[at] if bases else 0
        to_base = paired(scorers, members[base], own, draws[1])[0] if base != at else None
        former = chain and at > 0
        same = former and at - 1 == base
        to_former = to_base if same else paired(scorers, members[at - 1], own, draws[1])[0] if former else None
        made.append(Scored(point[list(own)], *_mean_of_seeds(scorers, own), to_base, to_former))
    return made


def _mean_of_seeds(scorers: Scorers, own: Sequence[int]) -> tuple[ClassEstimates, ClassEstimates]:
    """AP and AUROC."""
    truth = scorers.targets, scorers.label_mask, scorers.patients
    found = [estimate(scorers.scores[model], *truth, scorers.resampled, model)[1:] for model in own]
    means = []
    for seeds in zip(*found, strict=True):
        value, corrected, resampled = (
            np.mean([getattr(one, name) for one in seeds], axis=0) for name in ("value", "corrected", "resampled")
        )
        means.append(replace(seeds[0], value=value, corrected=corrected, resampled=resampled))
    return means[0], means[1]


def mean_rows(
    names: Sequence[str], scored: Sequence[Scored], reference: Reference, bases: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """A row for each variant and mean (all classes, head, medium, tail).

    mAP is the mean over classes and seeds, its interval that of patients; `sd` the spread over seeds. `difference` is to the
    base, with interval and p-value, and with the 95 % interval over seeds (Student's t of the paired differences); `holm`
    corrects for the number of variants with that base. `to_former` is the difference to the variant before, in a chain.

    Args:
        names: of the variants.
        scored: their AP.
        reference: labels and groups.
        bases: as of `score`.
    """
    rows = []
    bases = bases or [0] * len(names)
    for mean in MEANS:
        columns = _columns(mean, reference)
        if not columns.any():
            continue
        points = [one.point[:, columns].mean(axis=1) for one in scored]
        corrected = _corrected(scored, columns, bases)
        chance = _prevalence(reference)[columns].mean()
        for at, (name, one) in enumerate(zip(names, scored, strict=True)):
            whole, base = one.mean.mean(columns), bases[at]
            low, high = map(float, whole.interval)
            row = {"variant": name, "mean": mean, "seeds": len(points[at]), "mAP": points[at].mean(), "low": low, "high": high}
            row |= {"mAP_corrected": float(whole.corrected), **_with_interval("auroc", one.auroc.mean(columns))}
            row["prevalence"] = chance
            row["sd"] = points[at].std(ddof=1) if len(points[at]) > 1 else np.nan
            if one.to_base:
                row |= {"base": names[base]}
                row |= _difference("difference", points[at], points[base], one.to_base.of_mean(columns))
                row |= {"holm": corrected[at]}
            if one.to_former:
                row |= _difference("to_former", points[at], points[at - 1], one.to_former.of_mean(columns))
            rows.append(row)
    return rows


def harmonic_rows(names: Sequence[str], scored: Sequence[Scored], reference: Reference) -> list[dict[str, Any]]:
    """A row for each variant: the harmonic mean of seen and unseen classes, of mAP and of AUROC; none where all are seen.

    Args:
        names: of the variants.
        scored: their AP and AUROC.
        reference: labels and groups.
    """
    seen, unseen = (_columns(name, reference) for name in ("seen", "unseen"))
    if not (seen.any() and unseen.any()):
        return []
    return [
        {"variant": name}
        | _with_interval("mAP", harmonic_mean(one.mean, seen, unseen))
        | _with_interval("auroc", harmonic_mean(one.auroc, seen, unseen))
        for name, one in zip(names, scored, strict=True)
    ]


def _with_interval(name: str, metric: MeanEstimate) -> dict[str, Any]:
    low, high = map(float, metric.interval)
    return {name: float(metric.value), f"{name}_low": low, f"{name}_high": high}


def _corrected(scored: Sequence[Scored], columns: np.ndarray, bases: Sequence[int]) -> dict[int, float]:
    """Index of a variant -> its p-value by Holm, among the variants with the same base."""
    found: dict[int, float] = {}
    p = {at: float(one.to_base.of_mean(columns).p[0]) for at, one in enumerate(scored) if one.to_base}
    for base in set(bases):
        own = [at for at in p if bases[at] == base]
        found |= dict(zip(own, holm(np.array([p[at] for at in own])).tolist(), strict=True))
    return found


def class_rows(
    names: Sequence[str], scored: Sequence[Scored], reference: Reference, bases: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """A row for each variant and class; `holm` corrects for the number of classes. Arguments as of `mean_rows`."""
    rows = []
    bases = bases or [0] * len(names)
    for at, (name, one) in enumerate(zip(names, scored, strict=True)):
        found = one.to_base.of_classes() if one.to_base else None
        corrected = holm(found.p) if found else None
        for c, label in enumerate(reference.classes):
            points = one.point[:, c]
            row: dict[str, Any] = {
                "variant": name,
                "class": label,
                "group": reference.groups[c],
                "positives": int(reference.targets[:, c].sum()),
                "positive_patients": int(one.mean.patients[c]),
            }
            row |= {"ap": points.mean(), "sd": points.std(ddof=1) if len(points) > 1 else np.nan}
            if found is not None and corrected is not None:
                row |= {"difference": points.mean() - scored[bases[at]].point[:, c].mean()}
                row |= {
                    "low": found.low[c],
                    "high": found.high[c],
                    "p": found.p[c],
                    "holm": corrected[c],
                    "note": found.notes[c],
                }
            rows.append(row)
    return rows


def _difference(key: str, points: np.ndarray, base: np.ndarray, found: Differences) -> dict[str, Any]:
    paired_seeds = points - base if len(points) == len(base) > 1 else None
    return {
        key: points.mean() - base.mean(),
        f"{key}_low": float(found.low[0]),
        f"{key}_high": float(found.high[0]),
        f"{key}_p": float(found.p[0]),
        f"{key}_sd": np.nan if paired_seeds is None else paired_seeds.std(ddof=1),
        f"{key}_seeds_low": np.nan if paired_seeds is None else t_interval(paired_seeds)[0],
        f"{key}_seeds_high": np.nan if paired_seeds is None else t_interval(paired_seeds)[1],
    }


def _prevalence(reference: Reference) -> np.ndarray:
    """(C,) fraction of positives among the known labels: the AP of random scores."""
    positives = ((reference.targets == 1) & reference.label_mask).sum(axis=0)
    found: np.ndarray = positives / np.maximum(reference.label_mask.sum(axis=0), 1)
    return found


def _columns(mean: str, reference: Reference) -> np.ndarray:
    """(C,) bool: the classes of a mean that have a positive."""
    some = ((reference.targets == 1) & reference.label_mask).any(axis=0)
    found: np.ndarray = some if mean == "all" else some & np.array([group == mean for group in reference.groups])
    return found
