"""What an evaluation adds to the page: figures at thresholds, and of parts of the images."""

from typing import Any

from cxrlt_cli.report.numbers import Estimate

Row = dict[str, Any]


def at_thresholds(evaluation: Row | None) -> Row | None:
    """A row a class with what `evaluate` found at the thresholds it chose; None where nothing was evaluated."""
    if evaluation is None:
        return None
    chosen = evaluation["thresholds"]
    calibration = evaluation["predictions"].get("calibration")
    return {
        "rows": [
            {
                "name": row["class"],
                "group": row["group"] or "",
                "threshold": row["f1_threshold"],
                **{name: estimate(row, name) for name in ("f1", "sensitivity", "ece")},
            }
            for row in evaluation["per_class"]
        ],
        "means": {name: estimate(evaluation, f"mean_{name}") for name in ("f1", "sensitivity", "ece")},
        "chosen_on": chosen["chosen_on"],
        "held_out": chosen["held_out"],
        "specificity": chosen["specificity"],
        "none_for": chosen["none_for"],
        "calibrated": f"{calibration['name']} ({calibration['method']})" if calibration else "",
    }


def subgroups(evaluation: Row | None) -> list[Row]:
    """The means over classes in each part of the images that was evaluated by itself; `scale` is where all their axes end."""
    rows = [row for row in (evaluation or {}).get("subgroups", []) if not row["class"]]
    scale = max(0.1, *(row[name] or 0.0 for row in rows for name in ("ap", "ap_high")), 0.0)
    kept = ("by", "value", "images", "classes", "defined")
    return [
        {**{key: row[key] for key in kept}, "scale": scale} | {name: estimate(row, name) for name in ("ap", "auroc")}
        for row in rows
    ]


def estimate(row: Row, name: str) -> Estimate:
    """A figure of an evaluation with its interval; null, which JSON has for undefined, is NaN."""
    found = (row.get(key) for key in (name, f"{name}_low", f"{name}_high"))
    return Estimate(*(float("nan") if value is None else float(value) for value in found))
