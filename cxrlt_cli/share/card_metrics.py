"""The parts of a model card on metrics: how they were made, and their values with 95 % intervals."""

import math
from typing import Any

from cxrlt_cli.share.card_pages import Estimate, Item, Table

Row = dict[str, Any]
_GROUPS = {"head": "head (frequent)", "medium": "medium", "tail": "tail (rare)"}
_NO_EVALUATION = "No evaluation is part of this pack."


def main_result(metrics: Row | None) -> str:
    """One sentence: mAP and mean AUROC, and on which images."""
    if metrics is None:
        return _NO_EVALUATION
    return f"mAP {_text(metrics, 'mAP')}, mean AUROC {_text(metrics, 'mean_auroc')}: {_size(metrics)}."


def _size(metrics: Row) -> str:
    return f"{metrics['images']:,} images of {metrics['patients']:,} patients, {metrics['split']} split"


def uncertainty(metrics: Row | None) -> list[Item]:
    """The items on metrics and their uncertainty."""
    if metrics is None:
        return [Item("Metrics", [_NO_EVALUATION])]
    bootstrap = metrics["bootstrap"]
    how = "no intervals"
    if bootstrap.get("resamples"):
        how = f"95 % intervals from {bootstrap['resamples']:,} bootstrap resamples of {bootstrap.get('of', 'patients')}"
    undefined = ", ".join(metrics.get("undefined", []))
    return [
        Item("Metrics", ["Average precision (AP), its mean over classes (mAP), and the area under the ROC curve (AUROC)."]),
        Item(
            "Uncertainty",
            [f"{how[0].upper()}{how[1:]}.", *([f"Undefined, without a positive: {undefined}."] if undefined else [])],
        ),
        Item("Data of the evaluation", [f"{_size(metrics)}, by {metrics['per']}."]),
    ]


def result_items(metrics: Row | None) -> list[Item]:
    """Performance over all classes, by group, by class and by subgroup."""
    if metrics is None:
        return [Item("", [_NO_EVALUATION])]
    named = {"all classes": metrics} | {_GROUPS.get(name, name): row for name, row in metrics["groups"].items()}
    seen = metrics.get("seen_unseen") or {}
    named |= {f"{name} in training": seen[name] for name in ("seen", "unseen") if name in seen}
    groups = {name: row for name, row in named.items() if row.get("classes", 1)}
    items = [
        Item(
            "All classes and class groups",
            [f"Groups: {metrics['group_rule']}."],
            _table("group", {name: _of_means(row) for name, row in groups.items()}),
        ),
        Item("Classes", [], _table("class", {row["class"]: _of_class(row) for row in metrics["per_class"]})),
    ]
    return items + _subgroups(metrics.get("subgroups", []))


def _subgroups(rows: list[Row]) -> list[Item]:
    """The means of each subgroup; those that are too small with the reason."""
    means = [row for row in rows if not row["class"]]
    items = []
    for column in dict.fromkeys(row["by"] for row in means):
        own = [row for row in means if row["by"] == column]
        found = {str(row["value"]): (f"{row['patients']:,} patients", row, "ap", "auroc") for row in own}
        small = [f"{row['value']}: {row['reason']}." for row in own if row.get("reason")]
        items.append(
            Item(f"Subgroups by {column}", ["Means over the same classes in each subgroup.", *small], _table(column, found))
        )
    return items


Part = tuple[str, Row, str, str]


def _of_means(row: Row) -> Part:
    count = row.get("defined", row.get("classes"))
    return ("" if count is None else f"{count} classes"), row, "mAP", "mean_auroc"


def _of_class(row: Row) -> Part:
    return f"{row['positives']:,} positive", row, "ap", "auroc"


def _table(first: str, parts: dict[str, Part]) -> Table:
    rows = [(name, size, _text(row, ap), _text(row, auroc)) for name, (size, row, ap, auroc) in parts.items()]
    drawn = [_estimate(row, auroc) for _, row, _, auroc in parts.values()]
    return Table((first, "size", "AP (95 % interval)", "AUROC (95 % interval)"), rows, drawn)


def _estimate(row: Row, name: str) -> Estimate | None:
    value, low, high = (row.get(f"{name}{end}") for end in ("", "_low", "_high"))
    if value is None or math.isnan(value):
        return None
    return Estimate(value, value if low is None else low, value if high is None else high)


def _text(row: Row, name: str) -> str:
    found = _estimate(row, name)
    if found is None:
        return "undefined"
    return f"{found.value:.3f}" + (f" ({found.low:.3f} to {found.high:.3f})" if found.low < found.high else "")
