"""The content of an evaluation: metrics per class, means, subgroups, and the methods."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cxrlt_cli.artifacts.evaluation import EvaluatedPredictions, Evaluation, Resamples, ThresholdChoice
from cxrlt_cli.artifacts.predictions import PredictionsHeader
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.evaluate.bootstrap_metrics import decision_metrics, micro_ap, ranking_metrics
from cxrlt_cli.evaluate.metric_rows import add_thresholds, class_rows, means, seen_and_unseen, with_interval, without_interval
from cxrlt_cli.evaluate.subgroup_metrics import subgroup_rows
from cxrlt_cli.labels.groups import GROUPS, rule
from cxrlt_cli.readers.experts import Experts, gap_content, study_content
from cxrlt_cli.scores.decisions import Thresholds, choose_thresholds, decision_rows
from cxrlt_cli.scores.labelled import Scored
from cxrlt_cli.scores.study_level import one_row_a_study

Row = dict[str, Any]
INTERVAL = "AP, AUROC: Student's t of logits"


@dataclass(frozen=True)
class EvaluationSettings:
    """The settings of an evaluation, named as the options of `cxrlt evaluate`.

    Attributes:
        per: image or study.
        study_merge: mean or max, of the logits of a study's images.
        bounds: training prevalence above which a class is head, and above which it is medium.
        undefined: leave-out or zero.
        bootstrap: number of resamples of the patients.
        seed: of the resamples.
        specificity: at which the sensitivity is reported.
        by: columns of subgroups.
    """

    per: Literal["image", "study"]
    study_merge: Literal["mean", "max"]
    bounds: tuple[float, float]
    undefined: str
    bootstrap: int
    seed: int
    specificity: float
    by: tuple[str, ...]


def evaluation_of(settings: EvaluationSettings, images: Scored, chosen_on: Scored | None, provenance: Provenance) -> Evaluation:
    """An evaluation without readers and reference.

    Args:
        settings: of the evaluation.
        images: scores and labels, a row an image.
        chosen_on: scores and labels of other images, on which thresholds are chosen; None: on the same images.
        provenance: of the evaluation.
    """
    scored = _as_scored(settings, images)
    thresholds = choose_thresholds(_as_scored(settings, chosen_on) if chosen_on else scored, settings.specificity)
    bootstrap = (settings.bootstrap, settings.seed)
    counts, values = ranking_metrics(scored, *bootstrap)
    decisions = decision_rows(scored, thresholds)
    decided = decision_metrics(scored, thresholds, decisions, *bootstrap)
    positives = values["positives"].value, values["positives"].resampled
    values |= decided
    groups = scored.groups(settings.bounds)
    rows = class_rows(scored, groups, counts, values)
    add_thresholds(rows, decisions)
    every = np.ones(len(scored.classes), dtype=bool)
    metrics = {
        **means(values, every, settings.undefined),
        **with_interval("micro_ap", micro_ap(scored, *bootstrap)),
        **with_interval("weighted_ap", values["ap"].weighted(*positives)),
        **with_interval("micro_f1", decided["micro_f1"]),
        **with_interval("weighted_f1", values["f1"].weighted(*positives)),
    }
    order = [row["class"] for row in rows]
    return Evaluation(
        split=scored.split,
        images=len(images.table),
        patients=int(images.table["patient_id"].nunique()),
        per=settings.per if settings.per == "image" else f"study, {settings.study_merge} of logits",
        studies=len(scored.table) if settings.per == "study" else None,
        metrics=metrics,
        undefined=[row["class"] for row in rows if np.isnan(row["ap"])],
        undefined_auroc=[row["class"] for row in rows if np.isnan(row["auroc"])],
        no_interval=without_interval(rows) if settings.bootstrap else {},
        undefined_in_means=settings.undefined,
        group_rule=rule(settings.bounds) if any(groups) else "none, the dataset has no train split",
        groups={name: means(values, np.array([group == name for group in groups]), settings.undefined) for name in GROUPS},
        seen_unseen=seen_and_unseen(values, scored.unseen, settings.undefined),
        bootstrap=Resamples(settings.bootstrap, images.units, settings.seed, INTERVAL),
        thresholds=_thresholds_of(thresholds, scored, chosen_on, settings.specificity),
        predictions=_described(images.path, images.header),
        provenance=provenance,
        per_class=rows,
        decisions=sorted(decisions, key=lambda row: order.index(row["class"])),
        subgroups=[row for column in settings.by for row in subgroup_rows(scored, column, *bootstrap)],
    )


def with_experts(evaluation: Evaluation, experts: Experts, images: Scored, draws: tuple[int, int]) -> Evaluation:
    """An evaluation with readers, and with the same scores against the reference.

    Args:
        evaluation: without them.
        experts: readers and reference.
        images: scores and labels, a row an image.
        draws: number of resamples, and their seed.
    """
    if experts.readers is not None:
        study, rows = study_content(experts, images, *draws)
        evaluation = replace(evaluation, reader_study=study, readers=rows)
    if experts.others:
        gap, rows = gap_content(experts, images, *draws)
        evaluation = replace(evaluation, reference_gap=gap, reference=rows)
    return evaluation


def _as_scored(settings: EvaluationSettings, images: Scored) -> Scored:
    return one_row_a_study(images, settings.study_merge) if settings.per == "study" else images


def _thresholds_of(thresholds: Thresholds, scored: Scored, chosen_on: Scored | None, specificity: float) -> ThresholdChoice:
    none = [name for name, value in zip(scored.classes, thresholds.f1, strict=True) if np.isinf(value)]
    where = f"{chosen_on.path} ({chosen_on.split})" if chosen_on else "the images evaluated"
    return ThresholdChoice(where, chosen_on is not None, specificity, none)


def _described(path: Path, header: PredictionsHeader) -> EvaluatedPredictions:
    return EvaluatedPredictions(
        path.stem,
        header.runs,
        header.split,
        header.fold,
        header.out_of_fold,
        header.views,
        header.merge,
        header.calibration,
    )
