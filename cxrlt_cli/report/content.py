"""The content of the page: plain values for the template."""

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np

from cxrlt_cli import __version__
from cxrlt_cli.artifacts.dataset import SPLITS, Dataset
from cxrlt_cli.artifacts.provenance import made_by
from cxrlt_cli.artifacts.run import read_status
from cxrlt_cli.artifacts.run_config import read_run_config
from cxrlt_cli.config.saved_options import changed_options, flag_of_saved
from cxrlt_cli.labels.groups import rule
from cxrlt_cli.metrics.intervals import MIN_POSITIVE_PATIENTS
from cxrlt_cli.report.cooccurrence import Cooccurrence, cells, largest_fraction
from cxrlt_cli.report.metrics import Difference, Numbers
from cxrlt_cli.report.panels import Panel
from cxrlt_cli.report.subjects import Subject
from cxrlt_cli.report.svg_geometry import drawn
from cxrlt_cli.scores.labelled import Scored


def head_of(
    subjects: list[Subject], numbers: list[Numbers], groups: list[Any], resamples: int, bounds: tuple[float, float]
) -> dict[str, Any]:
    """Title, scored images, and the main metrics of each subject."""
    first = subjects[0].scored
    return {
        "title": ", ".join(one.name for one in subjects),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
        "resamples": resamples,
        "subjects": [_subject(one, number, index) for index, (one, number) in enumerate(zip(subjects, numbers, strict=True))],
        "split": first.split,
        "out_of_fold": first.header.out_of_fold,
        "classes_in_all": len(first.classes),
        "undefined": [name for name, value in zip(first.classes, numbers[0].per_class.ap, strict=True) if math.isnan(value)],
        "rule": rule(bounds) if first.train_label_counts.any() else "",
        "chance": chance_levels(numbers[0], groups),
        "least_patients": MIN_POSITIVE_PATIENTS,
        "scale": max(
            [0.1, *(end for number in numbers for mean in number.means.values() for end in (mean.value, mean.high) if end > 0)]
        ),
    }


def _subject(subject: Subject, numbers: Numbers, colour: int) -> dict[str, Any]:
    scored, config = subject.scored, subject.config
    status = read_status(subject.runs[0]) if subject.runs else None
    return {
        "name": subject.name,
        "colour": colour,
        "split": scored.split,
        "images": len(scored.table),
        "patients": int(scored.table["patient_id"].nunique()) if scored.patients_known else None,
        "means": numbers.means,
        "mean_auroc": numbers.mean_auroc,
        "runs": [run.folder.name for run in subject.runs] + subject.absent,
        "views": scored.header.views,
        "merge": scored.header.merge,
        "state": "" if status is None or status.state == "done" else status.state,
        "options": config.shown_options() if config else {},
    }


def class_rows(subjects: list[Subject], numbers: list[Numbers], groups: list[Any], order: list[int]) -> list[dict[str, Any]]:
    """One row per class, with the metrics of the first subject and the AP of the others."""
    scored, first = subjects[0].scored, numbers[0]
    patients = positive_patients(scored)
    return [
        {
            "name": scored.classes[c],
            "group": groups[c] or "",
            "train": int(scored.train_positives[c]),
            "positives": int(first.per_class.positives[c]),
            "positive_patients": patients[c],
            "unknown": int(first.per_class.unknown[c]),
            "prevalence": float(first.per_class.prevalence[c]),
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
    """Paired differences to the first subject, and the options in which the runs differ."""
    options = [config.shown_options() if (config := one.config) else {} for one in subjects]
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
    """Panels in the form that the template draws."""
    return [drawn(panel) for panel in panels]


def cooccurrence_tables(found: Cooccurrence, classes: list[str], order: list[int]) -> dict[str, Any]:
    """Co-occurrence tables of labels and of predictions, on one scale."""
    largest = max(largest_fraction(found.labels), largest_fraction(found.predicted))
    return {
        "names": [classes[c] for c in order],
        "labels": cells(found.labels, classes, order, largest),
        "predicted": cells(found.predicted, classes, order, largest),
    }


def chance_levels(numbers: Numbers, groups: list[Any]) -> dict[str, float]:
    """Group -> mAP of random scores: the mean prevalence of the classes in its mean."""
    defined = ~np.isnan(numbers.per_class.ap)
    named = np.array(groups, dtype=object)
    members = {name: defined if name == "all" else defined & (named == name) for name in numbers.means}
    prevalence = numbers.per_class.prevalence
    return {name: float(prevalence[chosen].mean()) if chosen.any() else math.nan for name, chosen in members.items()}


def positive_patients(scored: Scored) -> list[int]:
    """Number of patients with a positive image, per class."""
    positive = scored.label_mask & (scored.targets == 1)
    return [len(np.unique(scored.patients[column])) for column in positive.T]


def what_was_run(subjects: list[Subject], dataset: Dataset) -> dict[str, Any]:
    """Options that differ from the defaults, the dataset, and the provenance of each artifact."""
    runs = {}
    for run in (run for one in subjects for run in one.runs):
        config = read_run_config(run)
        runs[run.folder.name] = (changed_options(config.options), config.provenance, config.encoder_origin)
    run_log = [("dataset", str(dataset.path), dataset.header.provenance)]
    run_log += [("run", name, record) for name, (_, record, _) in runs.items()]
    run_log += [("predictions", str(one.scored.path), one.scored.header.provenance) for one in subjects]
    return {
        "runs": [
            (name, {flag_of_saved(key): str(value) for key, value in chosen.items()}, origin.described if origin else "")
            for name, (chosen, _, origin) in runs.items()
        ],
        "zero_shot": [one.scored.header.zero_shot for one in subjects if one.scored.header.zero_shot],
        "absent": sorted({name for one in subjects for name in one.absent}),
        "dataset": _dataset_rows(dataset),
        "pixels": ", ".join(f"{key} {value}" for key, value in dataset.settings.items() if value) or "labels alone",
        "records": [
            {"kind": kind, "name": name, "made": made_by(record), "inputs": record.inputs, "versions": record.versions}
            for kind, name, record in run_log
        ],
    }  # fmt: skip


def _dataset_rows(dataset: Dataset) -> list[dict[str, Any]]:
    table = dataset.table
    rows = []
    for (source, split), part in table.groupby(["source", "split"], sort=True, observed=True):
        rows.append({"source": source, "split": split, "images": len(part), "patients": int(part["patient_id"].nunique())})
    return sorted(rows, key=lambda row: (str(row["source"]), SPLITS.index(row["split"])))
