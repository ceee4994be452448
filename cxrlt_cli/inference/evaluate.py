"""The stage `evaluate`: predictions and labels go in, figures a class and their means come out."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.dataset import SPLITS, Dataset, read_dataset
from cxrlt_cli.artifacts.evaluation import read_evaluation, write_evaluation
from cxrlt_cli.artifacts.files import exclusive, refuse_existing
from cxrlt_cli.artifacts.predictions import Predictions, read_predictions, rows_of
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.config.evaluate import EvaluateConfig
from cxrlt_cli.console import data, say, warn
from cxrlt_cli.errors import UserError, listed, nearest
from cxrlt_cli.inference.evaluation_table import as_text
from cxrlt_cli.labels.groups import GROUPS, assign, rule
from cxrlt_cli.metrics.ranking import PerClass, average_precision, mean_of_defined, per_class
from cxrlt_cli.options import saved
from cxrlt_cli.workspace import Workspace, checked_name, newest


def evaluate(config: EvaluateConfig, workspace: Workspace) -> None:
    """Evaluates predictions, writes the figures and shows them.

    Raises:
        UserError: bad predictions or dataset, images or classes that do not match, an output that exists or cannot be written.
    """
    path = _find(config.predictions, workspace.predictions)
    folder = (config.output or workspace.evaluations) / checked_name(config.name or path.stem)
    refuse_existing(folder, config.overwrite)
    predictions = read_predictions(path)
    dataset = read_dataset(config.dataset or workspace.dataset)
    split = config.split or _split_of(path, predictions)
    part = dataset if split == "all" else dataset.split(split)
    _refuse_other_images(path, predictions, dataset, part, split)
    scores = _aligned(path, predictions, part)
    provenance = record(saved(config), [path, dataset.path])
    _warn_if_changed(predictions, dataset.path, provenance["inputs"][1]["sha256"])
    rows = _rows(dataset, per_class(scores, part.targets, part.known), config.bounds)
    grouped = any(row["group"] for row in rows)
    metrics = {
        "split": split,
        "images": len(part.table),
        "patients": int(part.table["patient_id"].nunique()),
        **_means(rows),
        "micro_ap": average_precision(scores[part.known], part.targets[part.known]),
        "undefined": [row["class"] for row in rows if np.isnan(row["ap"])],
        "undefined_auroc": [row["class"] for row in rows if np.isnan(row["auroc"])],
        "group_rule": rule(config.bounds) if grouped else "none, the dataset has no train split",
        "groups": {group: _means([row for row in rows if row["group"] == group]) for group in GROUPS},
        "predictions": {"name": path.stem, **{key: predictions.header.get(key) for key in ("runs", "split", "views", "merge")}},
        "provenance": provenance,
    }
    with exclusive(folder.with_name(f".{folder.name}.lock")):
        refuse_existing(folder, config.overwrite)  # another may have written it meanwhile
        write_evaluation(folder, metrics, rows)
    content = read_evaluation(folder)
    data(json.dumps(content, indent=1) if config.json else as_text(content))
    say(f"{path} against {dataset.path}: {folder}/metrics.json and per_class.csv")


def _find(given: str, folder: Path) -> Path:
    """The predictions' file: by name, by path, or the newest."""
    if not given:
        path = newest(list(folder.glob("*.parquet")))
        if path is None:
            raise UserError(f"{folder} holds no predictions", "make some with: cxrlt predict; or name a file")
        return path
    path = next((path for path in (folder / f"{given}.parquet", folder / given, Path(given)) if path.is_file()), None)
    if path is None:
        there = sorted(path.stem for path in folder.glob("*.parquet"))
        raise UserError(
            f"{given!r} is neither a name under {folder} nor a file{nearest(given, there)}",
            f"{folder} has: {', '.join(there) or 'none'}",
        )
    return path


def _split_of(path: Path, predictions: Predictions) -> str:
    split = predictions.header.get("split")
    if split not in SPLITS:
        raise UserError(f"{path} does not say which split it scores", "say it: --split train, val, test or all")
    return str(split)


def _refuse_other_images(path: Path, predictions: Predictions, dataset: Dataset, part: Dataset, split: str) -> None:
    """Refuses predictions of images that are not in the split; those that lack some of it are refused when joined."""
    split_of = dict(zip(dataset.table["image_id"], dataset.table["split"], strict=True))
    if len(split_of) < len(dataset.table):
        raise UserError(f"{dataset.path} has an image twice", "make it again with: cxrlt merge --overwrite")
    inside = set(part.table["image_id"])
    others = [name for name in predictions.image_ids if name not in inside]
    if not others:
        return
    found = [split_of.get(name, "no split") for name in others]
    where = ", ".join(f"{found.count(name)} in {name}" for name in (*SPLITS, "no split") if name in found)
    what = "" if split == "all" else f"the {split} split of "
    raise UserError(
        f"{len(others)} of the {len(predictions.image_ids)} images of {path} are not in {what}{dataset.path} "
        f"({where}): {listed(others)}",
        "name the split or the dataset that was scored: --split, --dataset",
    )


def _aligned(path: Path, predictions: Predictions, part: Dataset) -> np.ndarray:
    """(N, C) scores in the images' and classes' order of the dataset, joined by id and by name."""
    missing = [name for name in part.classes if name not in predictions.classes]
    foreign = [name for name in predictions.classes if name not in part.classes]
    if missing or foreign:
        far = {name: nearest(name, missing) for name in foreign}
        said = [f"no scores for {listed(missing)}"] if missing else []
        said += [f"scores for {listed(f'{name}{far[name]}' for name in foreign)}, not in the dataset"] if foreign else []
        raise UserError(
            f"{path} and {part.path} differ in their classes: {'; '.join(said)}",
            "name the dataset it was trained on: --dataset; or merge in its label space: cxrlt merge --label-space, --map",
        )
    columns = [predictions.classes.index(name) for name in part.classes]
    rows = rows_of(path, predictions, list(part.table["image_id"]))
    aligned: np.ndarray = predictions.logits[rows][:, columns]
    return aligned


def _warn_if_changed(predictions: Predictions, dataset: Path, sha256: str) -> None:
    """Says so where the predictions were made from another state of the dataset: splits and labels may have moved."""
    inputs = predictions.header.get("provenance", {}).get("inputs", [])
    if predictions.header.get("split") and inputs and sha256 not in [file.get("sha256") for file in inputs]:
        warn(f"{dataset} is not the dataset that was scored: its splits and labels may differ, also from the training's")


def _rows(dataset: Dataset, figures: PerClass, bounds: tuple[float, float]) -> list[dict[str, Any]]:
    """A row a class, the most frequent in training first. Without a train split no class is in a group."""
    train = (dataset.table["split"] == "train").to_numpy()
    positives = dataset.targets[train].sum(axis=0, dtype=np.int64)
    share = positives / np.maximum(dataset.known[train].sum(axis=0), 1)
    groups = assign(share, bounds) if train.any() else [None] * len(share)
    prevalence = figures.prevalence
    return [
        {
            "class": dataset.classes[c],
            "group": groups[c],
            "ap": float(figures.ap[c]),
            "auroc": float(figures.auroc[c]),
            "positives": int(figures.positives[c]),
            "negatives": int(figures.negatives[c]),
            "unknown": int(figures.unknown[c]),
            "prevalence": float(prevalence[c]),
            "ap_over_prevalence": float(figures.ap[c] / prevalence[c]) if figures.positives[c] else float("nan"),
            "train_positives": int(positives[c]),
            "train_prevalence": float(share[c]),
        }
        for c in np.lexsort((-figures.positives, -share)).tolist()
    ]


def _means(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Macro means over the classes where a figure is defined; the mean prevalence over those that have an AP."""
    ap, auroc, prevalence = (np.array([row[key] for row in rows], dtype=float) for key in ("ap", "auroc", "prevalence"))
    return {
        "classes": len(rows),
        "defined": int((~np.isnan(ap)).sum()),
        "mAP": mean_of_defined(ap),
        "mean_auroc": mean_of_defined(auroc),
        "mean_prevalence": mean_of_defined(prevalence[~np.isnan(ap)]),
    }
