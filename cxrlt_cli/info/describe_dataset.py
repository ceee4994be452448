"""Describes a dataset: patients, labels, and co-occurrence."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.dataset import SPLITS, Dataset, HeldOut, read_dataset
from cxrlt_cli.console import table
from cxrlt_cli.errors import listed
from cxrlt_cli.info.description import Description
from cxrlt_cli.report.cooccurrence import cooccurrence_counts, draw_cooccurrence, strongest_pairs


def describe_dataset(path: Path) -> Description:
    """Describes `dataset.parquet`. Raises UserError as reading it does."""
    dataset = read_dataset(path)
    split = dataset.table["split"].to_numpy(dtype=object)
    source = dataset.table["source"].to_numpy(dtype=object)
    positive = dataset.targets == 1
    groups = [(name, s) for name in sorted(set(source)) for s in SPLITS if ((source == name) & (split == s)).any()]
    who = [_group(dataset, positive, (source == name) & (split == s), name, s) for name, s in groups]
    classes = _classes(dataset, positive, split, source)
    pairs = strongest_pairs(cooccurrence_counts(positive), len(positive), dataset.classes)
    folds = _of_folds(dataset, positive)
    lines = [
        ("images", f"{len(dataset.table)}"),
        ("patients", f"{dataset.table['patient_id'].nunique()}"),
        ("label space", f"{dataset.header.label_space} ({len(dataset.classes)} classes)"),
        (
            "positive labels",
            f"{positive.sum(axis=1).mean():.2f} per image; {int((~positive.any(axis=1)).sum())} images with none",
        ),
        ("unknown labels", f"{(~dataset.label_mask).mean():.1%}"),
        ("soft targets", "none" if dataset.soft is None else f"{int(np.isfinite(dataset.soft).sum())}, in training only"),
        *([("folds", _folds(folds))] if folds else []),
        *([("held out", _held_out(dataset.held_out))] if dataset.unseen.any() else []),
        ("pixels", ", ".join(f"{key} {value}" for key, value in dataset.settings.items() if value) or "none: labels alone"),
        *((f"policies of {name}", _policy(effect)) for name, effect in dataset.header.policies.items()),
        *((f"corrections of {Path(one['file']).name}", _corrections(one)) for one in dataset.header.corrections),
    ]
    facts: dict[str, Any] = {
        "kind": "dataset",
        "images": len(dataset.table),
        "patients": int(dataset.table["patient_id"].nunique()),
        "label_space": dataset.header.label_space,
        "policies": dataset.header.policies,
        "corrections": dataset.header.corrections,
        "held_out": asdict(dataset.held_out),
        "folds": folds,
        "groups": who,
        "classes": classes,
        "pairs": pairs,
        "settings": dataset.settings,
    }
    tables = [_who(who), _positives(classes, sorted(set(source))), _pairs(pairs)]
    return Description("a dataset", lines, facts, dataset.header.provenance, tables)


def draw_dataset(path: Path, figure: Path) -> None:
    """Plots label co-occurrence. Raises UserError as reading and writing do."""
    dataset = read_dataset(path)
    draw_cooccurrence(cooccurrence_counts(dataset.targets == 1), dataset.classes, [figure])


def _of_folds(dataset: Dataset, positive: np.ndarray) -> list[dict[str, Any]]:
    """Images, patients and positives of each fold; empty without folds."""
    found = []
    for fold in range(dataset.folds):
        rows = (dataset.table["fold"] == fold).to_numpy()
        counts = dict(zip(dataset.classes, positive[rows].sum(axis=0).tolist(), strict=True))
        patients = int(dataset.table["patient_id"][rows].nunique())
        found.append({"fold": fold, "images": int(rows.sum()), "patients": patients, "positives": counts})
    return found


def _folds(folds: list[dict[str, Any]]) -> str:
    images, patients = (", ".join(str(fold[key]) for fold in folds) for key in ("images", "patients"))
    return f"{len(folds)} of the training patients: {images} images of {patients} patients"


def _held_out(held: HeldOut) -> str:
    images = f"{held.left_out} training images left out" if held.mode == "left-out" else "their training labels are unknown"
    return f"{listed(held.classes, 40)}; {images}"


def _policy(effect: dict[str, Any]) -> str:
    parts = [f"uncertain {effect['uncertain']['policy']} ({effect['uncertain']['labels']} labels)"]
    parts.append(f"blank {effect['blank']['policy']} ({effect['blank']['labels']} labels)")
    missing = effect["missing"]
    evaluation = missing.get("evaluation", missing["policy"])  # datasets of earlier versions have one policy for all splits
    parts.append(f"missing {missing['policy']}, {evaluation} in val and test ({len(missing['classes'])} classes)")
    return ", ".join(parts)


def _corrections(record: dict[str, Any]) -> str:
    flipped = record["to_1"] + record["to_0"]
    return f"{flipped} labels flipped ({record['to_1']} to 1, {record['to_0']} to 0), {record['kept']} kept"


def _group(dataset: Dataset, positive: np.ndarray, rows: np.ndarray, source: str, split: str) -> dict[str, Any]:
    patients = pd.unique(dataset.table["patient_id"][rows])
    return {
        "source": source,
        "split": split,
        "images": int(rows.sum()),
        "patients": len(patients),
        "labels_an_image": float(positive[rows].sum(axis=1).mean()),
        "without_positive": int((~positive[rows].any(axis=1)).sum()),
        "unknown": float((~dataset.label_mask[rows]).mean()),
    }


def _classes(dataset: Dataset, positive: np.ndarray, split: np.ndarray, source: np.ndarray) -> list[dict[str, Any]]:
    by_split = {name: positive[split == name].sum(axis=0) for name in SPLITS}
    by_source = {name: positive[source == name].sum(axis=0) for name in sorted(set(source))}
    unknown, total = (~dataset.label_mask).mean(axis=0), positive.sum(axis=0)
    return [
        {
            "class": dataset.classes[c],
            "positives": int(total[c]),
            **{name: int(counts[c]) for name, counts in by_split.items()},
            "by_source": {name: int(counts[c]) for name, counts in by_source.items()},
            "unknown": float(unknown[c]),
        }
        for c in np.argsort(-total, kind="stable")
    ]


def _who(groups: list[dict[str, Any]]) -> str:
    header = ["source", "split", "images", "patients", "labels an image", "none positive", "unknown"]
    rows = [
        [g["source"], g["split"], str(g["images"]), str(g["patients"]), f"{g['labels_an_image']:.2f}",
         str(g["without_positive"]), f"{g['unknown']:.1%}"]
        for g in groups
    ]  # fmt: skip
    return table(header, rows)


def _positives(classes: list[dict[str, Any]], sources: list[str]) -> str:
    several = sources if len(sources) > 1 else []
    rows = [
        [
            c["class"],
            *(str(c[name]) for name in SPLITS),
            *(str(c["by_source"][name]) for name in several),
            f"{c['unknown']:.1%}",
        ]
        for c in classes
    ]
    return table(["positives", *SPLITS, *several, "unknown"], rows)


def _pairs(pairs: list[dict[str, Any]]) -> str:
    rows = [[p["given"], p["also"], str(p["images"]), f"{p['share']:.0%}", f"{p['lift']:.1f}"] for p in pairs]
    return table(["of the images with", "also have", "images", "fraction", "times by chance"], rows)
