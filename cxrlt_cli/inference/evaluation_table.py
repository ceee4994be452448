"""An evaluation as a reader of the terminal sees it."""

from typing import Any

from cxrlt_cli.console import table

Row = dict[str, Any]


def as_text(evaluation: Row) -> str:
    """The classes, the most frequent in training first; the means; what the groups are; what is undefined.

    Args:
        evaluation: as `read_evaluation` gives it; undefined figures are None.
    """
    split, groups = evaluation["split"], evaluation["groups"]
    where = "whole dataset" if split == "all" else f"{split} split"
    header = ["class", "group", "train pos", f"{split} pos", "prevalence", "AP", "AUROC", "AP/prev"]
    means = [["all", *_mean_cells(evaluation)], *([name, *_mean_cells(group)] for name, group in groups.items())]
    lines = [
        table(header, [_class_cells(row) for row in evaluation["per_class"]]),
        "",
        table(["mean over", "classes", "mAP", "mean AUROC", "mean prevalence"], means),
        "",
        f"{where}: {evaluation['images']:,} images of {evaluation['patients']:,} patients",
        f"groups: {evaluation['group_rule']}",
        f"micro AP {_figure(evaluation['micro_ap'])}: all known labels in one ranking",
        *_undefined(evaluation),
    ]
    return "\n".join(lines)


def _class_cells(row: Row) -> list[str]:
    return [
        row["class"],
        row["group"] or "-",
        f"{row['train_positives']:,}",
        f"{row['positives']:,}",
        _percent(row["prevalence"]),
        _figure(row["ap"]),
        _figure(row["auroc"]),
        "-" if row["ap_over_prevalence"] is None else f"{row['ap_over_prevalence']:.1f}",
    ]


def _mean_cells(means: Row) -> list[str]:
    some = means["defined"] < means["classes"]
    count = f"{means['defined']} of {means['classes']}" if some else str(means["classes"])
    return [count, _figure(means["mAP"]), _figure(means["mean_auroc"]), _percent(means["mean_prevalence"])]


def _undefined(evaluation: Row) -> list[str]:
    """A line for each reason for which figures are left out of the means."""
    without_positive: list[str] = evaluation["undefined"]
    without_negative = [name for name in evaluation["undefined_auroc"] if name not in without_positive]
    lines = []
    for names, what, figure in ((without_positive, "positive", "AP and AUROC are"), (without_negative, "negative", "AUROC is")):
        if names:
            lines.append(f"{len(names)} without a {what}, {figure} undefined and left out of the means: {', '.join(names)}")
    return lines


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"
