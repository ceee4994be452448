"""`cxrlt evaluate`, run as a user runs it: what it prints, what it leaves on disk, what it refuses."""

import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Run
from scored_files import CLASSES, IMAGES, make_dataset, make_predictions, rows_of_split
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrlt_cli.artifacts.dataset import COLUMNS, Dataset, DatasetHeader, write_dataset
from cxrlt_cli.artifacts.files import fingerprint
from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, write_predictions

EXACT = 1e-12
NIH_CLASSES = [
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax", "Consolidation",
    "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
]  # fmt: skip


def metrics_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return content


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with a dataset and predictions of its test split."""
    dataset = make_dataset(tmp_path / "dataset.parquet")
    make_predictions(tmp_path / "predictions" / "base-test.parquet", dataset)
    return tmp_path


def reference(dataset: Dataset, predictions: Predictions, split: str) -> dict[str, tuple[float, float]]:
    """Class -> AP and AUROC by scikit-learn over the known labels, of the classes with a positive."""
    rows = rows_of_split(dataset, split)
    found = {}
    for c, name in enumerate(CLASSES):
        label_mask, targets = dataset.label_mask[rows, c], dataset.targets[rows, c]
        if targets[label_mask].any():
            given = targets[label_mask], predictions.logits[label_mask, c]
            found[name] = average_precision_score(*given), roc_auc_score(*given)
    return found


def test_figures_equal_scikit_learn_and_are_all_on_disk(cxrlt: Run, workspace: Path) -> None:
    dataset = make_dataset(workspace / "dataset.parquet")
    predictions = make_predictions(workspace / "predictions" / "base-test.parquet", dataset)
    wanted = reference(dataset, predictions, "test")
    ended = cxrlt("evaluate")
    assert ended.code == 0, ended.err
    folder = workspace / "evaluations" / "base-test"
    assert sorted(path.name for path in folder.iterdir()) == ["decisions.csv", "metrics.json", "per_class.csv"]
    metrics = metrics_of(folder)
    assert (metrics["split"], metrics["images"], metrics["patients"]) == ("test", 200, 100)
    assert (metrics["classes"], metrics["defined"], metrics["undefined"]) == (5, 4, ["Never seen"])
    assert metrics["mAP"] == pytest.approx(np.mean([ap for ap, _ in wanted.values()]), abs=EXACT)
    assert metrics["mean_auroc"] == pytest.approx(np.mean([area for _, area in wanted.values()]), abs=EXACT)
    for row in metrics["per_class"]:
        assert (row["ap"], row["auroc"]) == pytest.approx(wanted.get(row["class"], (None, None)), abs=EXACT)
    described = {"name": "base-test", "runs": ["base"], "split": "test", "views": 8, "merge": "geomean", "out_of_fold": False}
    assert metrics["predictions"] == described
    assert [Path(file["path"]).name for file in metrics["provenance"]["inputs"]] == ["base-test.parquet", "dataset.parquet"]
    assert metrics["provenance"]["inputs"][1]["sha256"] == fingerprint(workspace / "dataset.parquet").sha256
    check_counts_groups_and_micro(metrics, dataset, predictions)
    check_csv(folder / "per_class.csv", metrics)
    check_table(ended.out, metrics)
    assert "evaluations/base-test" in ended.err
    assert "warning" not in ended.err


def check_counts_groups_and_micro(metrics: dict[str, Any], dataset: Dataset, predictions: Predictions) -> None:
    rows, train = rows_of_split(dataset, "test"), rows_of_split(dataset, "train")
    for row in metrics["per_class"]:
        c = CLASSES.index(row["class"])
        label_mask, targets = dataset.label_mask[rows, c], dataset.targets[rows, c]
        assert row["unknown"] == (~label_mask).sum()
        assert (row["positives"], row["positives"] + row["negatives"]) == (targets.sum(), label_mask.sum())
        assert row["prevalence"] == pytest.approx(targets[label_mask].mean())
        assert row["train_positives"] == dataset.targets[train, c].sum()
        share = dataset.targets[train, c][dataset.label_mask[train, c]].mean()
        assert row["group"] == ("head" if share > 0.1 else "medium" if share > 0.01 else "tail")
    shares = [row["train_prevalence"] for row in metrics["per_class"]]
    assert shares == sorted(shares, reverse=True)
    for name, group in metrics["groups"].items():
        of_group = [row for row in metrics["per_class"] if row["group"] == name]
        defined = [row["ap"] for row in of_group if row["ap"] is not None]
        assert (group["classes"], group["defined"]) == (len(of_group), len(defined))
        assert group["mAP"] == (pytest.approx(np.mean(defined), abs=EXACT) if defined else None)
    prevalences = [row["prevalence"] for row in metrics["per_class"] if row["ap"] is not None]
    assert metrics["mean_prevalence"] == pytest.approx(np.mean(prevalences))
    pooled = dataset.label_mask[rows]
    micro = average_precision_score(dataset.targets[rows][pooled], predictions.logits[pooled])
    assert metrics["micro_ap"] == pytest.approx(micro, abs=EXACT)


def check_csv(path: Path, metrics: dict[str, Any]) -> None:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    first = ["class", "group", "ap", "auroc", "positives", "negatives", "unknown", "prevalence", "ap_over_prevalence"]
    assert list(rows[0])[:11] == [*first, "train_positives", "train_prevalence"]
    decided = ["f1", "sensitivity", "specificity", "ece"]
    bounds = [name + end for name in ("ap", "auroc", "ap_over_prevalence", *decided) for end in ("_low", "_high")]
    assert set(list(rows[0])[11:]) == {
        *bounds,
        *decided,
        "positive_patients",
        "ap_corrected",
        "f1_threshold",
        "specificity_threshold",
    }
    for row, saved in zip(rows, metrics["per_class"], strict=True):
        assert {name: str(value) if value is not None else "" for name, value in saved.items()} == row
        if saved["ap"] is not None:
            assert math.isclose(saved["ap_over_prevalence"], saved["ap"] / saved["prevalence"])


def check_table(text: str, metrics: dict[str, Any]) -> None:
    lines = text.splitlines()
    assert max(map(len, lines)) <= 105
    assert lines[0].split("  ")[0] == "class"
    for row, line in zip(metrics["per_class"], lines[2:], strict=False):
        assert line.startswith(row["class"])
        if row["ap"] is not None:
            assert f"  {row['ap']:.4f}  " in line
            assert f"  {row['auroc']:.4f}  " in line
    assert f"  {metrics['mAP']:.4f}  " in next(line for line in lines if line.startswith("all "))
    assert [sum(line.startswith(f"{group} ") for line in lines) for group in ("head", "medium", "tail")] == [1, 1, 1]
    assert "head > 10%, medium > 1%, tail <= 1%" in text
    assert "1 without a positive, AP and AUROC are undefined and left out of the means: Never seen" in text


def test_neither_the_order_of_rows_nor_of_classes_matters(cxrlt: Run, workspace: Path) -> None:
    def rounded(text: str) -> float:
        return round(float(text), 5)  # sums of probabilities differ in the last digits with the order

    before = json.loads(cxrlt("evaluate", "--json").out, parse_float=rounded)
    draws = np.random.default_rng(3)
    dataset = make_dataset(workspace / "dataset.parquet")
    predictions = make_predictions(workspace / "plain.parquet", dataset)
    make_dataset(workspace / "shuffled.parquet", order=draws.permutation(sum(IMAGES.values())))
    rows, columns = draws.permutation(IMAGES["test"]), [3, 0, 4, 1, 2]
    ids, names = [predictions.image_ids[row] for row in rows], [CLASSES[c] for c in columns]
    logits = predictions.logits[rows][:, columns]
    write_predictions(workspace / "shuffled-test.parquet", Predictions(ids, names, logits, predictions.header))
    ended = cxrlt("evaluate", "shuffled-test.parquet", "--dataset", "shuffled.parquet", "--json")
    assert ended.code == 0, ended.err
    after = json.loads(ended.out, parse_float=rounded)
    assert "shuffled.parquet has changed since it was scored" in ended.err
    for content in (before, after):
        del content["provenance"], content["predictions"]
    assert before == after


def test_options_name_other_places_bounds_and_splits(cxrlt: Run, workspace: Path) -> None:
    dataset = make_dataset(workspace / "dataset.parquet")
    everywhere = replace(dataset, table=dataset.table.assign(split="test"))
    make_predictions(workspace / "all.parquet", everywhere)
    options = ["--split", "all", "--name", "whole", "--output", "elsewhere", "--groups", "0.5,0.1"]
    ended = cxrlt("evaluate", "all.parquet", *options)
    assert ended.code == 0, ended.err
    metrics = metrics_of(workspace / "elsewhere" / "whole")
    assert (metrics["split"], metrics["images"]) == ("all", sum(IMAGES.values()))
    assert [metrics["groups"][group]["classes"] for group in ("head", "medium", "tail")] == [0, 2, 3]
    assert "head > 50%, medium > 10%, tail <= 10%" in ended.out
    assert not (workspace / "evaluations").exists()


def test_the_newest_predictions_are_taken_and_the_split_is_theirs(cxrlt: Run, workspace: Path) -> None:
    dataset = make_dataset(workspace / "dataset.parquet")
    make_predictions(workspace / "predictions" / "a-val.parquet", dataset, "val")
    ended = cxrlt("evaluate", "--json")
    assert ended.code == 0, ended.err
    printed = json.loads(ended.out)
    assert (printed["split"], printed["images"], printed["predictions"]["name"]) == ("val", 60, "a-val")
    assert printed == metrics_of(workspace / "evaluations" / "a-val")


def test_without_a_train_split_there_are_no_groups(cxrlt: Run, workspace: Path) -> None:
    dataset = make_dataset(workspace / "dataset.parquet")
    rows = rows_of_split(dataset, "test")
    table = dataset.table.iloc[rows].reset_index(drop=True)
    write_dataset(replace(dataset, table=table, targets=dataset.targets[rows], label_mask=dataset.label_mask[rows]))
    ended = cxrlt("evaluate")
    assert ended.code == 0, ended.err
    metrics = metrics_of(workspace / "evaluations" / "base-test")
    assert {row["group"] for row in metrics["per_class"]} == {None}
    assert metrics["defined"] == 4
    assert "groups: none, the dataset has no train split" in ended.out


def test_overwrite_replaces(cxrlt: Run, workspace: Path) -> None:
    existing_output(workspace)
    ended = cxrlt("evaluate", "base-test", "--overwrite", "--groups", "0.3,0.2")
    assert ended.code == 0, ended.err
    assert metrics_of(workspace / "evaluations" / "base-test")["group_rule"].startswith("head > 30%")


def test_real_networks_scores(cxrlt: Run, real_data: Path, tmp_path: Path) -> None:
    """A DenseNet-121 on NIH's official test list, 25,596 images: the same figures as scikit-learn's."""
    content = np.load(real_data / "logits" / "densenet121_seed0.npz")
    logits, targets = content["test_logits"], content["test_labels"].astype(np.uint8)
    ids = np.array([f"image-{n:05}" for n in range(len(logits))])
    frame = pd.DataFrame({name: [None] * len(ids) for name in COLUMNS}, dtype=object)
    frame["image_id"], frame["patient_id"], frame["split"] = ids, content["test_patient"].astype(str), "test"
    frame["source"], frame["cache"], frame["row"] = "nih", "images/nih.h5", np.arange(len(ids))
    label_mask = np.ones(targets.shape, dtype=bool)
    write_dataset(
        Dataset(frame, NIH_CLASSES, targets, label_mask, {"size": 224}, DatasetHeader(), tmp_path / "dataset.parquet")
    )
    order = np.random.default_rng(0).permutation(len(ids))
    header = PredictionsHeader(["densenet121"], "test")
    write_predictions(tmp_path / "real.parquet", Predictions(list(ids[order]), NIH_CLASSES, logits[order], header))
    ended = cxrlt("evaluate", "real.parquet", "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["patients"] == len(np.unique(content["test_patient"]))
    assert abs(found["mAP"] - average_precision_score(targets, logits, average="macro")) <= 1e-9
    assert abs(found["mean_auroc"] - roc_auc_score(targets, logits, average="macro")) <= 1e-9
    assert abs(found["micro_ap"] - average_precision_score(targets, logits, average="micro")) <= 1e-9


def no_predictions(folder: Path) -> list[object]:
    (folder / "predictions" / "base-test.parquet").unlink()
    return []


def mistyped_name(folder: Path) -> list[object]:
    return ["base-tset"]


def truncated(folder: Path) -> list[object]:
    path = folder / "predictions" / "base-test.parquet"
    path.write_bytes(path.read_bytes()[:-200])
    return []


def foreign(folder: Path) -> list[object]:
    pq.write_table(pa.table({"image_id": ["i0600"], "Effusion": [0.5]}), folder / "predictions" / "foreign.parquet")
    return ["foreign"]


def rewrite(folder: Path, change: Callable[[pa.Table], pa.Table]) -> list[object]:
    """Predictions that our own writer would not write, under its header."""
    path = folder / "predictions" / "base-test.parquet"
    table = pq.read_table(path)
    pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), path)
    return []


def not_a_number(folder: Path) -> list[object]:
    def change(table: pa.Table) -> pa.Table:
        values = table["logit:Hernia"].to_numpy().copy()
        values[5] = np.nan
        return table.set_column(table.column_names.index("logit:Hernia"), "logit:Hernia", pa.array(values))

    return rewrite(folder, change)


def missing_ids(folder: Path) -> list[object]:
    return rewrite(folder, lambda table: table.slice(3))


def duplicate_ids(folder: Path) -> list[object]:
    return rewrite(folder, lambda table: pa.concat_tables([table, table.slice(0, 1)]))


def other_classes(folder: Path) -> list[object]:
    names = ["Effusions", *CLASSES[1:]]
    logits = np.zeros((200, 5), dtype=np.float32)
    ids = [f"i{n:04}" for n in range(460, 660)]
    write_predictions(
        folder / "predictions" / "other.parquet", Predictions(ids, names, logits, PredictionsHeader(split="test"))
    )
    return ["other"]


def other_split(folder: Path) -> list[object]:
    return ["base-test", "--split", "val"]


def unsaid_split(folder: Path) -> list[object]:
    predictions = Predictions(["a.png"], CLASSES, np.zeros((1, 5), dtype=np.float32), PredictionsHeader())
    write_predictions(folder / "predictions" / "folder.parquet", predictions)
    return ["folder"]


def no_dataset(folder: Path) -> list[object]:
    return ["--dataset", "nowhere.parquet"]


def predictions_as_dataset(folder: Path) -> list[object]:
    return ["--dataset", "predictions/base-test.parquet"]


def existing_output(folder: Path) -> list[object]:
    (folder / "evaluations" / "base-test").mkdir(parents=True)
    (folder / "evaluations" / "base-test" / "metrics.json").write_text("precious")
    return []


def unwritable_output(folder: Path) -> list[object]:
    (folder / "evaluations").write_text("a file, not a folder")
    return []


def swapped_bounds(folder: Path) -> list[object]:
    return ["--groups", "0.01,0.10"]


def name_with_a_folder(folder: Path) -> list[object]:
    return ["--name", "../outside"]


BAD: dict[Callable[[Path], list[object]], list[str]] = {
    no_predictions: ["predictions holds no predictions", "cxrlt predict"],
    mistyped_name: ["'base-tset'", "nearest is 'base-test'"],
    truncated: ["base-test.parquet cannot be read as Parquet", "cxrlt predict"],
    foreign: ["foreign.parquet is a Parquet file of another origin"],
    not_a_number: ["1 scores are not finite", "i0465, Hernia"],
    missing_ids: ["no scores for 3 of 200 images: i0460, i0461, i0462"],
    duplicate_ids: ["has an image twice"],
    other_classes: ["no scores for Effusion", "Effusions; nearest is 'Effusion'"],
    other_split: ["200 of the 200 images", "not in the val split of dataset.parquet (200 in test)", "--split"],
    unsaid_split: ["does not record which split it scores", "--split"],
    no_dataset: ["nowhere.parquet is not there", "cxrlt merge"],
    predictions_as_dataset: ["is cxrlt predictions, not cxrlt dataset"],
    existing_output: ["evaluations/base-test exists", "--overwrite"],
    unwritable_output: ["cannot write evaluations/"],
    swapped_bounds: ["--groups '0.01,0.10'", "0.10,0.01"],
    name_with_a_folder: ["'../outside' cannot be an artifact's name"],
}


def everything(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_bad_input_is_one_message_and_a_hint_and_nothing_is_written(
    cxrlt: Run, workspace: Path, spoil: Callable[[Path], list[object]]
) -> None:
    arguments = spoil(workspace)
    before = everything(workspace)
    ended = cxrlt("evaluate", *arguments)
    assert ended.code == 2, ended.err
    assert [line.split(":")[0] for line in ended.err.splitlines()] == ["error", "hint"]
    for words in BAD[spoil]:
        assert words in ended.err
    assert ended.out == ""
    assert everything(workspace) == before
