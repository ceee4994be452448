"""Turns the test-set logits of trained networks (NPZ) into a workspace: dataset.parquet and predictions/*.parquet.

python benchmarks/networks.py FOLDER Data_Entry_2017.csv WORKSPACE [VAL_SHARE]

FOLDER has NPZ files of `test_logits` (N, 14) float32, `test_labels` (N, 14) and `test_patient` (N,), one a network, of the same
images in the same order: the official test list of ChestX-ray14. NIH's table has the labels of all images; those of patients
who are not in the list are the train split, in which head, medium and tail are counted. The networks come without scores of
a validation split: with VAL_SHARE a share of the test patients becomes one, on which thresholds and calibrations are chosen.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.dataset import COLUMNS, Dataset, DatasetHeader, write_dataset
from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, write_predictions

CLASSES = [
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax", "Consolidation",
    "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
]  # fmt: skip


def training_labels(table: Path, test_patients: np.ndarray) -> tuple[pd.Series, np.ndarray]:
    """Patients (T,) and labels (T, C) of the images in NIH's table whose patient is not in the test list."""
    rows = pd.read_csv(table)
    rows = rows[~rows["Patient ID"].isin(test_patients)]
    findings = rows["Finding Labels"].str.split("|")
    labels = np.array([[name in found for name in CLASSES] for found in findings], dtype=np.uint8)
    return rows["Patient ID"], labels


def write_workspace(workspace: Path, network: dict[str, np.ndarray], table: Path, val_share: float) -> pd.DataFrame:
    """The dataset of train, test and, where a share is given, val; its table comes back."""
    patients = network["test_patient"]
    train_patients, train_labels = training_labels(table, patients)
    names, codes = np.unique(patients, return_inverse=True)
    in_val = np.random.default_rng(0).random(len(names))[codes] < val_share
    ids = [f"test-{row:05}" for row in range(len(codes))] + [f"train-{row:05}" for row in range(len(train_labels))]
    frame = pd.DataFrame({name: [None] * len(ids) for name in COLUMNS}, dtype=object)
    frame["image_id"], frame["source"], frame["cache"], frame["row"] = ids, "nih", "images/nih.h5", np.arange(len(ids))
    frame["patient_id"] = "nih:" + pd.concat([pd.Series(patients), train_patients]).astype(int).astype(str).to_numpy()
    frame["split"] = np.append(np.where(in_val, "val", "test"), np.full(len(train_labels), "train"))
    targets = np.concatenate([network["test_labels"].astype(np.uint8), train_labels])
    label_mask = np.ones(targets.shape, dtype=bool)
    write_dataset(Dataset(frame, CLASSES, targets, label_mask, {"size": 224}, DatasetHeader(), workspace / "dataset.parquet"))
    return frame


def main() -> None:
    """Writes the dataset once, then a prediction file for each network and split."""
    folder, table, workspace = map(Path, sys.argv[1:4])
    val_share = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0
    files = sorted(folder.glob("*.npz"))
    networks = {file.stem: dict(np.load(file)) for file in files}
    first = networks[files[0].stem]
    frame = write_workspace(workspace, first, table, val_share)
    for name, network in networks.items():
        assert all(np.array_equal(network[key], first[key]) for key in ("test_patient", "test_labels")), f"{name}: other images"
        for split in sorted(set(frame["split"]) - {"train"}):
            rows = np.flatnonzero(frame["split"] == split)
            header = PredictionsHeader([name], split)
            made = Predictions(list(frame["image_id"].iloc[rows]), CLASSES, network["test_logits"][rows], header)
            write_predictions(workspace / f"predictions/{name if split == 'test' else f'{name}-{split}'}.parquet", made)
    print(frame.groupby("split").agg(images=("image_id", "size"), patients=("patient_id", "nunique")))


if __name__ == "__main__":
    main()
