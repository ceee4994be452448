"""Ensembles of networks whose scores exist, and merges of views, with paired intervals over patients.

python benchmarks/ensembles.py networks FOLDER               # NAME.npz: test_logits (N, C), test_labels, test_patient
python benchmarks/ensembles.py views WORKSPACE RUN [SPLIT]   # a finished run of a workspace and its dataset
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.console import table
from cxrlt_cli.data.batches import batches, rows_in_order
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.metrics.paired import paired, score_all
from cxrlt_cli.metrics.ranking import mean_of_defined, per_class
from cxrlt_cli.predict.greedy_selection import select_greedily
from cxrlt_cli.predict.members import load_members
from cxrlt_cli.predict.merge import merge_logits
from cxrlt_cli.predict.score import score
from cxrlt_cli.predict.tta import VIEWS

MERGES = {"mean": "arithmetic mean", "geomean": "geometric mean", "logits": "mean of logits"}
RESAMPLES = 2000


def show(
    title: str, base: str, scores: dict[str, np.ndarray], targets: np.ndarray, label_mask: np.ndarray, who: np.ndarray
) -> None:
    """A row for each contender: mAP and mean AUROC, and the difference of each to `base` with its 95 % interval and p-value."""
    names = list(scores)
    scorers = score_all(np.stack(list(scores.values())), targets, label_mask, who, RESAMPLES)
    every, at, rows = np.ones(targets.shape[1], dtype=bool), names.index(base), []
    for index, name in enumerate(names):
        row = [name]
        for pair in paired(scorers, [at], [index], RESAMPLES):
            found = pair.of_mean(every)
            low, high, p = (float(one[0]) for one in (found.low, found.high, found.p))
            text = f"{found.difference[0]:+.4f} [{low:+.4f}, {high:+.4f}] p {p:.2g}"
            row += [f"{found.other[0]:.4f}", "" if index == at else text]
        rows.append(row)
    print(f"\n{title}: {len(targets)} images of {len(np.unique(who))} patients, {RESAMPLES} resamples\n")
    print(table([f"difference to {base}", "mAP", "difference", "AUROC", "difference"], rows))


def networks(folder: Path) -> None:
    """Members and weights are chosen on half of the patients, all are evaluated on the other half."""
    files = sorted(folder.glob("*.npz"))
    loaded = [np.load(path) for path in files]
    logits = np.stack([file["test_logits"] for file in loaded])
    targets, who = loaded[0]["test_labels"].astype(np.uint8), loaded[0]["test_patient"]
    assert all((file["test_patient"] == who).all() and (file["test_labels"] == targets).all() for file in loaded)
    patients = np.random.default_rng(0).permutation(np.unique(who))
    val = np.isin(who, patients[: len(patients) // 2])
    label_mask = np.ones(targets.shape, dtype=bool)

    def evaluate(merged: np.ndarray) -> float:
        return mean_of_defined(per_class(merged, targets[val], label_mask[val]).ap)

    names = [path.stem for path in files]
    alone = {name: evaluate(one[val]) for name, one in zip(names, logits, strict=True)}
    print("validation mAP:", ", ".join(f"{name} {value:.4f}" for name, value in alone.items()))
    contenders = dict(zip(names, logits[:, ~val], strict=True))
    contenders |= {text: merge_logits(logits[:, ~val], how) for how, text in MERGES.items()}
    for how, text in MERGES.items():
        found = {
            "weighted": best_of_grid(logits[:, val], how, evaluate),
            "greedy": select_greedily(logits[:, val], how, evaluate, rounds=30).weights,
        }
        for way, weights in found.items():
            contenders[f"{text}, {way}"] = merge_logits(logits[:, ~val], how, weights)
            value = evaluate(merge_logits(logits[:, val], how, weights))
            said = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(names, weights, strict=True))
            print(f"{text}, {way}: {said}; validation mAP {value:.4f}")
    best = max(alone, key=lambda name: alone[name])
    show("networks, test half", best, contenders, targets[~val], label_mask[~val], who[~val])


def best_of_grid(logits: np.ndarray, how: str, evaluate: Callable[[np.ndarray], float], steps: int = 5) -> np.ndarray:
    """(V,) the weights, in whole fifths, that `evaluate` likes best."""
    grid = np.indices((steps + 1,) * len(logits)).reshape(len(logits), -1).T
    grid = grid[grid.sum(axis=1) == steps]
    values = [evaluate(merge_logits(logits, how, weights)) for weights in grid]
    return np.asarray(grid[int(np.argmax(values))] / steps)


def views(workspace: Path, name: str, split: str) -> None:
    """One network: 1, 2, 4, 8 and 16 views, each merged in three ways."""
    dataset = read_dataset(workspace / "dataset.parquet").split(split)
    members = load_members([Run(workspace / "runs" / name)], torch.device("cpu"))
    rows = rows_in_order(len(dataset.table), 64)
    attention = [
        [score(members, (view,), "geomean", batch.images) for view in VIEWS]
        for batch in batches(dataset, DatasetImages(dataset), rows)
    ]
    logits = np.concatenate(attention, axis=1)  # (V, N, C)
    columns = [members[0].classes.index(label) for label in dataset.classes]
    logits = logits[:, :, columns]
    contenders = {"1 view": logits[0]}
    for count in (2, 4, 8, 16):
        for how, text in MERGES.items():
            contenders[f"{count} views, {text}"] = merge_logits(logits[:count], how)
    who = dataset.table["patient_id"].to_numpy()
    show(f"views of {name}, {split} split", "1 view", contenders, dataset.targets, dataset.label_mask, who)


if __name__ == "__main__":
    what, where, *more = sys.argv[1:]
    if what == "networks":
        networks(Path(where))
    else:
        views(Path(where), more[0], more[1] if len(more) > 1 else "test")
