"""What the page says: plain values that the template places."""

import math
from datetime import UTC, datetime
from typing import Any

from cxrlt_cli import __version__
from cxrlt_cli.artifacts.dataset import SPLITS, Dataset
from cxrlt_cli.artifacts.json_files import read_json
from cxrlt_cli.artifacts.provenance import made_by
from cxrlt_cli.artifacts.run import shown_options
from cxrlt_cli.config.saved_options import changed_options, flag_of_saved
from cxrlt_cli.labels.groups import rule
from cxrlt_cli.paths import is_file
from cxrlt_cli.report.cooccurrence import Together, cells, largest_share
from cxrlt_cli.report.metrics import Difference, Estimate, Numbers
from cxrlt_cli.report.panels import Panel
from cxrlt_cli.report.subjects import Subject
from cxrlt_cli.report.svg_geometry import drawn


def head_of(subjects: list[Subject], numbers: list[Numbers], resamples: int, bounds: tuple[float, float]) -> dict[str, Any]:
    """Title, what was scored, the main figures of each subject."""
    first = subjects[0].scored
    return {
        "title": ", ".join(one.name for one in subjects),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
        "resamples": resamples,
        "subjects": [_subject(one, number, index) for index, (one, number) in enumerate(zip(subjects, numbers, strict=True))],
        "split": first.split,
        "classes_in_all": len(first.classes),
        "undefined": [name for name, value in zip(first.classes, numbers[0].figures.ap, strict=True) if math.isnan(value)],
        "rule": rule(bounds) if first.train_label_counts.any() else "",
        "scale": max(
            [0.1, *(end for number in numbers for mean in number.means.values() for end in (mean.value, mean.high) if end > 0)]
        ),
    }


def _subject(subject: Subject, numbers: Numbers, colour: int) -> dict[str, Any]:
    scored, config = subject.scored, subject.config
    status = read_json(subject.runs[0].status) if subject.runs and is_file(subject.runs[0].status) else {}
    return {
        "name": subject.name,
        "colour": colour,
        "split": scored.split,
        "images": len(scored.table),
        "patients": int(scored.table["patient_id"].nunique()),
        "means": numbers.means,
        "mean_auroc": numbers.mean_auroc,
        "runs": [run.folder.name for run in subject.runs] + subject.absent,
        "views": scored.header.get("views"),
        "merge": scored.header.get("merge"),
        "state": "" if status.get("state") in ("done", None) else status["state"],
        "options": shown_options(config),
    }


def class_rows(subjects: list[Subject], numbers: list[Numbers], groups: list[Any], order: list[int]) -> list[dict[str, Any]]:
    """A row a class, with the first subject's figures and the AP of the others."""
    scored, first = subjects[0].scored, numbers[0]
    return [
        {
            "name": scored.classes[c],
            "group": groups[c] or "",
            "train": int(scored.train_positives[c]),
            "positives": int(first.figures.positives[c]),
            "unknown": int(first.figures.unknown[c]),
            "prevalence": float(first.figures.prevalence[c]),
            "ap": first.ap[c],
            "auroc": first.auroc[c],
            "others": [
                number.ap[_column(one, scored.classes[c])] for one, number in zip(subjects[1:], numbers[1:], strict=True)
            ],
        }
        for c in order
    ]


def _column(subject: Subject, name: str) -> int:
    return subject.scored.classes.index(name)


def comparison(subjects: list[Subject], differences: list[list[Difference]]) -> dict[str, Any]:
    """Paired differences to the first, and the options that are not the same in all runs."""
    options = [shown_options(one.config) for one in subjects]
    names = sorted({name for one in options for name in one} - {"name"})
    rows = [(flag_of_saved(name), [one.get(name, "") for one in options]) for name in names]
    return {
        "paired": bool(differences),
        "differences": [
            {"name": one.name, "colour": index + 1, "rows": rows_}
            for index, (one, rows_) in enumerate(zip(subjects[1:], differences, strict=False))
        ],
        "options": [(name, values) for name, values in rows if len(set(values)) > 1],
    }


def charts(panels: list[Panel]) -> list[dict[str, Any]]:
    """Panels as the template draws them."""
    return [drawn(panel) for panel in panels]


def company(found: Together, classes: list[str], order: list[int]) -> dict[str, Any]:
    """The two tables of labels that come together, on one scale."""
    largest = max(largest_share(found.truth), largest_share(found.predicted))
    return {
        "names": [classes[c] for c in order],
        "truth": cells(found.truth, classes, order, largest),
        "predicted": cells(found.predicted, classes, order, largest),
    }


def what_was_run(subjects: list[Subject], dataset: Dataset) -> dict[str, Any]:
    """Options other than the usual ones, the dataset, and every artifact's own record."""
    runs = {}
    for run in (run for one in subjects for run in one.runs):
        config = read_json(run.config)
        runs[run.folder.name] = (changed_options(config.get("options", {})), config.get("provenance", {}))
    run_log = [("dataset", str(dataset.path), dataset.header.get("provenance", {}))]
    run_log += [("run", name, record) for name, (_, record) in runs.items()]
    run_log += [("predictions", str(one.scored.path), one.scored.header.get("provenance", {})) for one in subjects]
    return {
        "runs": [
            (name, {flag_of_saved(key): str(value) for key, value in chosen.items()})
            for name, (chosen, _) in runs.items()
        ],
        "absent": sorted({name for one in subjects for name in one.absent}),
        "dataset": _who(dataset),
        "pixels": ", ".join(f"{key} {value}" for key, value in dataset.settings.items() if value),
        "records": [
            {"kind": kind, "name": name, "made": made_by(record), "inputs": record.get("inputs", []),
             "versions": record.get("versions", {})}
            for kind, name, record in run_log
        ],
    }  # fmt: skip


def _who(dataset: Dataset) -> list[dict[str, Any]]:
    table = dataset.table
    rows = []
    for (source, split), part in table.groupby(["source", "split"], sort=True, observed=True):
        rows.append({"source": source, "split": split, "images": len(part), "patients": int(part["patient_id"].nunique())})
    return sorted(rows, key=lambda row: (str(row["source"]), SPLITS.index(row["split"])))


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
