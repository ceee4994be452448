"""An evaluation as text for the terminal."""

from typing import Any

from cxrlt_cli.artifacts.evaluation import Evaluation, Resamples
from cxrlt_cli.console import escaped, shortened, table
from cxrlt_cli.errors import listed
from cxrlt_cli.readers.terminal_tables import expert_tables

Row = dict[str, Any]


def as_text(evaluation: Evaluation) -> str:
    """Tables of classes (the most frequent in training first), means and subgroups; then methods and undefined metrics.

    Args:
        evaluation: from `read_evaluation`; undefined values are None.
    """
    split = evaluation.split
    where = _images_of(evaluation)
    header = ["class", "group", "train +", f"{split} +", "AP", "AP*", "95 %", "AUROC", "95 %", "AP/prev"]
    studies = f"{evaluation.studies:,} studies, " if evaluation.studies is not None else ""
    lines = [
        table(header, shortened([_class_cells(row) for row in evaluation.per_class], "per_class.csv of the evaluation")),
        "",
        *_means_table(evaluation),
        *_subgroups(evaluation.subgroups, "studies" if studies else "images"),
        *expert_tables(evaluation),
        "",
        f"{where}: {studies}{evaluation.images:,} images{patients_of(evaluation.patients, evaluation.bootstrap)}",
        f"groups: {evaluation.group_rule}",
        *_how(evaluation),
        *_undefined(evaluation),
    ]
    return "\n".join(lines)


def _images_of(evaluation: Evaluation) -> str:
    """Which images were evaluated."""
    scored = evaluation.predictions
    if scored.out_of_fold:
        return "training images, out of fold (different runs scored them: see each fold with --by fold)"
    of_fold = "" if scored.fold is None else f" of fold {scored.fold}"
    return "whole dataset" if evaluation.split == "all" else f"{evaluation.split} split{of_fold}"


def patients_of(patients: int, drawn: Resamples) -> str:
    """How many patients an evaluation or a comparison has, or that they are not known."""
    if drawn.of == "images":
        return "; their patients are not known: intervals are too narrow if a patient has several images"
    return f" of {patients:,} patients"


def _class_cells(row: Row) -> list[str]:
    return [
        row["class"],
        row["group"] or "-",
        f"{row['train_positives']:,}",
        f"{row['positives']:,}",
        figure(row["ap"]),
        _corrected(row, "ap"),
        interval(row, "ap"),
        figure(row["auroc"]),
        interval(row, "auroc"),
        "-" if row["ap_over_prevalence"] is None else f"{row['ap_over_prevalence']:.1f}",
    ]


def _means_table(evaluation: Evaluation) -> list[str]:
    specificity = f"sens@{evaluation.thresholds.specificity:g}"
    header = ["mean over", "classes", "mAP", "mAP*", "95 %", "AUROC", "95 %", "F1", "95 %", specificity, "ECE"]
    means: Row = evaluation.metrics
    rows = [["all (macro)", *_mean_cells(means)]]
    if any(row["group"] for row in evaluation.per_class):
        rows += [[name, *_mean_cells(group)] for name, group in evaluation.groups.items()]
    both: dict[str, Row] = evaluation.seen_unseen
    rows += [[name, *_mean_cells(both[name])] for name in ("seen", "unseen") if name in both]
    if both:
        harmonic = both["harmonic"]
        cells = [figure(harmonic["mAP"]), _corrected(harmonic, "mAP"), interval(harmonic, "mAP")]
        cells += [figure(harmonic["mean_auroc"]), interval(harmonic, "mean_auroc")]
        rows.append(["harmonic mean of both", "", *cells, "", "", "", ""])
    for name in ("micro", "weighted"):
        ap, f1 = f"{name}_ap", f"{name}_f1"
        cells = [figure(means[ap]), _corrected(means, ap), interval(means, ap), "", "", figure(means[f1]), interval(means, f1)]
        rows.append([name, "", *cells, "", ""])
    return [table(header, rows)]


def _mean_cells(means: Row) -> list[str]:
    cells = [_class_count(means)]
    cells += [figure(means["mAP"]), _corrected(means, "mAP"), interval(means, "mAP")]
    for name in ("mean_auroc", "mean_f1"):
        cells += [figure(means[name]), interval(means, name)]
    return [*cells, figure(means["mean_sensitivity"]), figure(means["mean_ece"])]


def _corrected(row: Row, name: str) -> str:
    """A corrected AP with three decimals; `-` if undefined, or in an evaluation of an earlier version."""
    value = row.get(f"{name}_corrected")
    return "-" if value is None else f"{value:.3f}"


def _class_count(means: Row) -> str:
    some = means["defined"] < means["classes"]
    return f"{means['defined']} of {means['classes']}" if some else str(means["classes"])


def _subgroups(rows: list[Row], what: str) -> list[str]:
    means = [row for row in rows if not row["class"]]
    if not means:
        return []
    shown = [row for row in means if row["ap"] is not None]
    cells = [
        [
            f"{row['by']}: {row['value']}",
            f"{row['images']:,}",
            f"{row['patients']:,}",
            _class_count(row),
            figure(row["ap"]),
            interval(row, "ap"),
            figure(row["auroc"]),
            interval(row, "auroc"),
            "-" if row["auroc_difference"] is None else f"{row['auroc_difference']:+.3f}",
            signed_interval(row, "auroc_difference"),
            "-" if row["p_holm"] is None else f"{row['p_holm']:.2g}",
        ]
        for row in shown
    ]
    header = ["subgroup", what, "patients", "classes", "mAP", "95 %", "AUROC", "95 %", "to the rest", "95 %", "p (Holm)"]
    lines = ["", table(header, cells), "classes: those that count in every subgroup of the column"] if shown else [""]
    if shown:
        lines.append("to the rest: AUROC minus that of all other images; p is corrected for the subgroups of the column")
    small = [row for row in means if row["ap"] is None]
    return lines + [f"too small, {row['by']}: {row['value']} ({row['images']:,} {what}): {row['reason']}" for row in small]


def _how(evaluation: Evaluation) -> list[str]:
    drawn, thresholds = evaluation.bootstrap, evaluation.thresholds
    lines = []
    calibration = evaluation.predictions.calibration
    if calibration:
        lines.append(f"calibrated by {calibration.name} ({calibration.method})")
    if evaluation.per != "image":
        lines.append(f"one row per {evaluation.per}")
    if drawn.resamples:
        lines.append(f"95 %: from {drawn.resamples:,} resamples of the {drawn.of}, seed {drawn.seed} ({drawn.interval})")
    if evaluation.no_interval is not None:
        lines.append("AP*, mAP*: corrected for few positives, which make AP too high on average; intervals are around it")
    if evaluation.no_interval:
        few = {row["class"]: row["positive_patients"] for row in evaluation.per_class}
        names = listed((f"{name} ({few[name]})" for name in evaluation.no_interval), 40)
        lines.append(f"no 95 % interval, too few patients with a positive: {names}")
    lines.append(f"thresholds of F1 and sensitivity chosen on {thresholds.chosen_on}")
    if not thresholds.held_out:
        lines.append(
            "  (F1 and sensitivity are optimistic: choose thresholds on validation with --thresholds-from PREDICTIONS)"
        )
    if thresholds.none_for:
        lines.append(f"no threshold, nothing is called positive: {escaped(', '.join(thresholds.none_for))}")
    lines.append("micro: all known labels in one ranking; weighted: by positives")
    return lines


def _undefined(evaluation: Evaluation) -> list[str]:
    """A line for each reason why classes are left out of the means."""
    without_positive = evaluation.undefined
    without_negative = [name for name in evaluation.undefined_auroc if name not in without_positive]
    of_ap = "AP and AUROC are undefined and left out of the means"
    if evaluation.undefined_in_means == "zero":
        of_ap = "AP is 0 in mAP, AUROC is left out"
    kinds = (
        (without_positive, "positive", of_ap),
        (without_negative, "negative", "AUROC is undefined and left out of the means"),
    )
    return [f"{len(names)} without a {what}, {how}: {escaped(listed(names, 40))}" for names, what, how in kinds if names]


def figure(value: float | None) -> str:
    """A value with four decimals, `-` if undefined."""
    return "-" if value is None else f"{value:.4f}"


def interval(row: Row, name: str) -> str:
    """The bounds of a metric's interval, `-` without one."""
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    if low is None or high is None:
        return "-"
    return f"{low:.3f}-{high:.3f}".replace("0.", ".")


def signed_interval(row: Row, name: str) -> str:
    """The bounds of a difference's interval, `-` without one."""
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return "-" if low is None or high is None else f"{low:+.3f} {high:+.3f}"
