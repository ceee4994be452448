"""What an evaluation holds: figures of the classes, their means, subgroups, and how all of it was found."""

from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.evaluation import EvaluationTables
from cxrlt_cli.config.evaluate import EvaluateConfig
from cxrlt_cli.evaluate.bootstrap_metrics import decision_figures, micro_ap, ranking_figures
from cxrlt_cli.evaluate.metric_rows import add_decisions, class_rows, means, with_interval, without_interval
from cxrlt_cli.evaluate.subgroup_metrics import subgroup_rows
from cxrlt_cli.labels.groups import GROUPS, rule
from cxrlt_cli.scores.decisions import Thresholds, choose_thresholds, decision_rows
from cxrlt_cli.scores.labelled import Scored
from cxrlt_cli.scores.study_level import one_row_a_study

Row = dict[str, Any]
INTERVAL = "AP, AUROC: Student's t of logits"


def evaluation_of(config: EvaluateConfig, images: Scored, chosen_on: Scored | None) -> tuple[Row, EvaluationTables]:
    """What `metrics.json` holds beside its tables, and the tables."""
    scored = _as_scored(config, images)
    thresholds = choose_thresholds(_as_scored(config, chosen_on) if chosen_on else scored, config.specificity)
    bootstrap = (config.bootstrap, config.seed)
    counts, figures = ranking_figures(scored, *bootstrap)
    decided = decision_figures(scored, thresholds, *bootstrap)
    positives = figures["positives"].value, figures["positives"].resampled
    figures |= decided
    groups = scored.groups(config.bounds)
    rows = class_rows(scored, groups, counts, figures)
    decisions = decision_rows(scored, thresholds)
    add_decisions(rows, decisions)
    every = np.ones(len(scored.classes), dtype=bool)
    metrics = {
        "split": scored.split,
        "images": len(images.table),
        "patients": int(images.table["patient_id"].nunique()),
        "per": config.per if config.per == "image" else f"study, {config.study_merge} of logits",
        **({"studies": len(scored.table)} if config.per == "study" else {}),
        **means(figures, every, config.undefined),
        **with_interval("micro_ap", micro_ap(scored, *bootstrap)),
        **with_interval("weighted_ap", figures["ap"].weighted(*positives)),
        **with_interval("micro_f1", decided["micro_f1"]),
        **with_interval("weighted_f1", figures["f1"].weighted(*positives)),
        "undefined": [row["class"] for row in rows if np.isnan(row["ap"])],
        "undefined_auroc": [row["class"] for row in rows if np.isnan(row["auroc"])],
        "no_interval": without_interval(rows) if config.bootstrap else {},
        "undefined_in_means": config.undefined,
        "group_rule": rule(config.bounds) if any(groups) else "none, the dataset has no train split",
        "groups": {name: means(figures, np.array([group == name for group in groups]), config.undefined) for name in GROUPS},
        "bootstrap": {"resamples": config.bootstrap, "of": "patients", "seed": config.seed, "interval": INTERVAL},
        "thresholds": _thresholds_of(thresholds, scored, chosen_on, config.specificity),
        "predictions": _described(images.path, images.header),
    }
    subgroups = [row for column in config.by for row in subgroup_rows(scored, column, *bootstrap)]
    order = [row["class"] for row in rows]
    decisions.sort(key=lambda row: order.index(row["class"]))
    return metrics, EvaluationTables(rows, decisions, subgroups)


def _as_scored(config: EvaluateConfig, images: Scored) -> Scored:
    return one_row_a_study(images, config.study_merge) if config.per == "study" else images


def _thresholds_of(thresholds: Thresholds, scored: Scored, chosen_on: Scored | None, specificity: float) -> dict[str, Any]:
    none = [name for name, value in zip(scored.classes, thresholds.f1, strict=True) if np.isinf(value)]
    where = f"{chosen_on.path} ({chosen_on.split})" if chosen_on else "the images evaluated"
    return {"chosen_on": where, "held_out": chosen_on is not None, "specificity": specificity, "none_for": none}


def _described(path: Path, header: dict[str, Any]) -> dict[str, Any]:
    facts = {"name": path.stem, **{key: header.get(key) for key in ("runs", "split", "views", "merge")}}
    return facts | ({"calibration": header["calibration"]} if header.get("calibration") else {})
