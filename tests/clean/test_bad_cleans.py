"""What users give to `clean`: scores, datasets, numbers of labels. Each is refused in one message."""

import os
from pathlib import Path

import numpy as np
import pytest
from bad_input import Bad, Content, Run, of_stage

from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, write_predictions

CLASSES = ["Effusion", "Mass", "Nodule"]


def scores(ids: list[str], classes: list[str], split: str | None = "test", runs: tuple[str, ...] = ("x",)) -> Content:
    logits = np.zeros((len(ids), len(classes)), np.float32)
    return lambda path: write_predictions(path, Predictions(ids, classes, logits, PredictionsHeader(list(runs), split)))


W = "predictions/whole.parquet"
CLEAN = of_stage("clean", [
    ("predictions that are misspelled", "whoel --name new", "nearest is 'whole'"),
    ("an empty name of predictions", "'' --name new", "has an empty value"),
    ("a run that is misspelled", "runs/whoel --name new", "is neither a run nor predictions"),
    ("a name of two kinds", "whole fused --name new", "unexpected extra argument"),
    ("scores that are a CSV", "x.csv --name new", "x.csv", {"x.csv": "image_id,Mass\na,0.5\n"}),
    ("scores that are empty", "x.parquet --name new", "x.parquet", {"x.parquet": ""}),
    ("scores that are a dataset", "x.parquet --name new", "x.parquet", {"x.parquet": b"PAR1" + bytes(40) + b"PAR1"}),
    ("scores that are a pipe", "x --name new", "x", {"x": os.mkfifo}),
    ("scores that are a link to itself", "x --name new", "x", {"x": lambda path: path.symlink_to("x")}),
    ("scores of other images", "x.parquet --name new", "are not in", {"x.parquet": scores(["other"], CLASSES)}),
    ("scores of other classes", "x.parquet --name new", "x.parquet", {"x.parquet": scores(["i00"], ["Hernia"])}),
    ("scores of training images", "x.parquet --name new --split train", "x.parquet",
     {"x.parquet": scores(["i00"], CLASSES, "train")}),
    ("scores without a split", "x.parquet --name new", "split", {"x.parquet": scores(["i00"], CLASSES, None)}),
    ("another split than was scored", f"{W} --name new --split val", "are not in the val split"),
    ("a split that is misspelled", f"{W} --split tset", "tset"),
    *((f"--top {text}", f"{W} --name new --top {text}", "--top") for text in ("-1", "501", "1.5", "x", "nan")),
    ("probabilities that are misspelled", f"{W} --probabilities row", "row"),
    ("a device that is not there", f"{W} --name new --device gpu", "gpu"),
    ("a name with a path", f"{W} --name a/b", "cannot be an artifact's name"),
    ("a name that leaves the folder", f"{W} --name ..", "cannot be an artifact's name"),
    ("a dataset that is not there", f"{W} --name new --dataset gone.parquet", "gone.parquet is not there"),
    ("a dataset that is a CSV", f"{W} --name new --dataset x.csv", "x.csv", {"x.csv": "image_id,Mass\na,1\n"}),
    ("a dataset that is a folder", f"{W} --name new --dataset x", "x", {"x": None}),
    ("a dataset that is a pipe", f"{W} --name new --dataset x", "x", {"x": os.mkfifo}),
    ("a flag that is misspelled", f"{W} --tpo 5", "--top"),
    ("another command's flag", f"{W} --bootstrap 5", "--bootstrap"),
])  # fmt: skip


@pytest.mark.parametrize("bad", CLEAN, ids=str)
def test_is_refused_in_one_message(bad: Bad, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    bad.check(cxrlt, tmp_path, golden)
