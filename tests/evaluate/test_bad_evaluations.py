"""What users give to `evaluate`, `compare`, `calibrate`, `report` and `info`. Each is refused in one message."""

import os
from pathlib import Path

import numpy as np
import pytest
from bad_input import Bad, Content, Run, of_stage

from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, write_predictions

QUICK = "whole --name new --bootstrap 0"


def scores(ids: list[str], classes: list[str], split: str = "test") -> Content:
    logits = np.zeros((len(ids), len(classes)), np.float32)
    return lambda path: write_predictions(path, Predictions(ids, classes, logits, PredictionsHeader(["x"], split)))


OTHER: dict[str, Content] = {"x.parquet": scores(["other"], ["Effusion", "Mass", "Nodule"])}
CLASSES: dict[str, Content] = {"x.parquet": scores(["i00"], ["Hernia"])}


def by(name: str, content: Content, says: str, column: str = "scanner") -> tuple[str, str, str, dict[str, Content]]:
    return f"--by-table {name}", f"{QUICK} --by {column} --by-table t.csv", says, {"t.csv": content}


#: Flags that `evaluate`, `compare` and `report` share, with bad values.
GROUPS = ("0.1", "0.01,0.1", "0.1,0.1", "1,0", "nan,0", "a,b", "0.1,-0.1", "0.1;0.01", "0.1,0.01,0.001", "inf,0.1")
FILES: list[tuple[str, str, str, dict[str, Content]]] = [
    ("a CSV", "x.csv", "x.csv", {"x.csv": "image_id,Mass\na,0.5\n"}),
    ("a CSV by its name", "x.parquet", "x.parquet", {"x.parquet": "image_id,Mass\na,0.5\n"}),
    ("empty", "x.parquet", "x.parquet", {"x.parquet": ""}),
    ("of other images", "x.parquet", "are not in", OTHER),
    ("of other classes", "x.parquet", "x.parquet", CLASSES),
    ("a pipe", "x", "x", {"x": os.mkfifo}),
    ("a link to itself", "x", "x", {"x": lambda path: path.symlink_to("x")}),
    ("a dataset", "dataset.parquet", "dataset.parquet", {"dataset.parquet": b"PAR1" + bytes(40) + b"PAR1"}),
]

EVALUATE = of_stage("evaluate", [
    ("predictions that are misspelled", "whoel --name new", "nearest is 'whole'"),
    ("an empty name of predictions", "'' --name new", "has an empty value"),
    *((f"predictions {name}", f"{file} --name new --bootstrap 0", says, files) for name, file, says, files in FILES),
    *((f"--groups {text}", f"{QUICK} --groups {text}", "--groups") for text in GROUPS),
    *((f"--bootstrap {text}", f"whole --name new --bootstrap {text}", "--bootstrap") for text in ("-1", "1000001", "1.5", "x")),
    *((f"--specificity {text}", f"{QUICK} --specificity {text}", "--specificity") for text in ("0", "1", "-1", "nan", "inf",
          "x")),
    ("a seed below 0", f"{QUICK} --seed -1", "--seed"),
    ("another split than was scored", f"{QUICK} --split val", "are not in the val split"),
    ("a split that is misspelled", f"{QUICK} --split tset", "tset"),
    ("--by of an unknown column", f"{QUICK} --by scaner", "scaner"),
    ("--by that is misspelled", f"{QUICK} --by sexx", "sex"),
    ("--by twice", f"{QUICK} --by sex --by sex", "--by names a column twice"),
    ("--by-table without --by", f"{QUICK} --by-table t.csv", "--by-table needs --by"),
    ("--by-table that is not there", f"{QUICK} --by x --by-table t.csv", "t.csv is not there"),
    by("empty", "", "has no rows"),
    by("without ids", "scanner\nA\n", "has none of the columns"),
    by("of other images", "image_id,scanner\nother,A\n", "t.csv"),
    by("of an image twice", "image_id,scanner\ni06,A\ni06,B\n", "twice"),
    by("of an empty id", "image_id,scanner\n,A\n", "is empty"),
    by("of a column of the dataset", "image_id,sex\ni06,A\n", "both have sex", "sex"),
    by("of another column", "image_id,ward\ni06,A\n", "scanner"),
    by("in UTF-16", "image_id,scanner\ni06,A\n".encode("utf-16"), "UTF-8"),
    by("cut off", "image_id,scanner,ward\ni06,A\n", "row 2"),
    by("a folder", None, "t.csv"),
    by("a pipe", os.mkfifo, "t.csv"),
    ("thresholds that are not there", f"{QUICK} --thresholds-from gone", "gone"),
    ("thresholds of the test split", f"{QUICK} --thresholds-from predictions/fused.parquet", "validation"),
    ("a calibration that is misspelled", f"{QUICK} --calibrate wram", "wram"),
    ("a calibration of calibrated scores", "calibrated --name new --bootstrap 0 --calibrate warm", "calibrated"),
    ("a dataset that is not there", f"{QUICK} --dataset gone.parquet", "gone.parquet is not there"),
    ("a name that exists", "whole", "exists"),
    ("a name with a path", "whole --name a/b", "cannot be an artifact's name"),
    ("an output that is a file", f"{QUICK} --output x", "x", {"x": ""}),
    ("a flag that is misspelled", f"{QUICK} --bootstrp 5", "--bootstrap"),
    ("another command's flag", f"{QUICK} --tta 8", "--tta"),
])  # fmt: skip

PAIR = "predictions/whole.parquet predictions/fused.parquet --name new"
COMPARE = of_stage("compare", [
    ("nothing", "", "a comparison needs two"),
    ("one", "whole", "a comparison needs two"),
    ("one twice", "predictions/whole.parquet predictions/whole.parquet", "is named twice"),
    ("one that is misspelled", "whoel fused", "'whoel' is neither a run nor predictions"),
    ("a name of two kinds", "whole fused", "is a run and predictions"),
    *((f"predictions {name}", f"predictions/whole.parquet {file} --name new", says, files) for name, file, says,
          files in FILES),
    ("two splits", "predictions/whole.parquet runs/whole --name new", "split"),
    *((f"--groups {text}", f"{PAIR} --groups {text}", "--groups") for text in GROUPS[:4]),
    *((f"--bootstrap {text}", f"{PAIR} --bootstrap {text}", "--bootstrap") for text in ("1", "-1", "1000001", "x")),
    *((f"--permutations {text}", f"{PAIR} --permutations {text}", "--permutations") for text in ("0", "-5", "1000001", "nan")),
    ("--output without --name", "runs/whole runs/fused --output x", "--output needs --name"),
    ("an output that is a file", f"{PAIR} --bootstrap 2 --permutations 1 --output x", "x", {"x": ""}),
    ("a name that exists", "predictions/whole.parquet predictions/fused.parquet --name both", "exists"),
    ("a flag that is misspelled", f"{PAIR} --premutations 5", "--permutations"),
])  # fmt: skip

CALIBRATE = of_stage("calibrate", [
    ("nothing", "", "calibrate needs predictions"),
    ("a run that is misspelled", "runs/whoel --name new", "is neither a run nor predictions"),
    ("predictions of the test split", "predictions/whole.parquet --name new", "fitted on validation"),
    *((f"predictions {name}", f"{file} --name new", says, files) for name, file, says, files in FILES),
    ("a method that is misspelled", "runs/whole --method plat --name new", "plat"),
    ("a name that exists", "runs/whole --name warm", "exists"),
    ("a name with a path", "runs/whole --name a/b", "cannot be an artifact's name"),
    ("a dataset that is not there", "runs/whole --name new --dataset gone.parquet", "gone.parquet"),
    ("a flag that is misspelled", "runs/whole --methdo platt", "--method"),
])  # fmt: skip

REPORT = of_stage("report", [
    ("a run that is misspelled", "whoel --name new", "nearest is 'whole'"),
    *((f"of {name}", f"{file} --name new", says, files) for name, file, says, files in FILES),
    ("one twice", "whole whole --name new", "named twice"),
    ("too many", "a b c d e f g --name new", "too many for one report"),
    *((f"--groups {text}", f"whole --name new --groups {text}", "--groups") for text in GROUPS[:4]),
    ("pictures below 0", "whole --name new --mistakes -1", "--mistakes"),
    ("pictures without end", "whole --name new --mistakes 41", "--mistakes"),
    ("few resamples", "whole --name new --resamples 99", "--resamples"),
    ("a name with a path", "whole --name a/b", "cannot be an artifact's name"),
    ("a dataset that is not there", "whole --name new --dataset gone.parquet", "gone.parquet"),
    ("a comparison", "comparisons/both --name new", "is not a run, an evaluation or predictions"),
    ("a flag that is misspelled", "whole --mistaeks 3", "--mistakes"),
])  # fmt: skip

INFO = of_stage("info", [
    ("nothing", "", "missing argument PATH"),
    ("a path that is not there", "gone", "is not there"),
    ("a CSV", "x.csv", "is not an artifact", {"x.csv": "a\n1\n"}),
    ("an empty file", "x.h5", "is not an artifact", {"x.h5": ""}),
    ("an empty folder", "x", "is a folder, but not", {"x": None}),
    ("a pipe", "x", "x", {"x": os.mkfifo}),
    ("a link to itself", "x", "x", {"x": lambda path: path.symlink_to("x")}),
    ("JSON of something else", "x.json", "x.json", {"x.json": "{}"}),
    ("JSON that is a list", "x.json", "x.json", {"x.json": "[1]"}),
    ("empty JSON", "x.json", "x.json", {"x.json": ""}),
    ("Parquet of something else", "x.parquet", "x.parquet", {"x.parquet": b"PAR1" + bytes(40) + b"PAR1"}),
    ("HDF5 of something else", "x.h5", "x.h5", {"x.h5": b"\x89HDF\r\n\x1a\n" + bytes(100)}),
    ("a figure of a run", "runs/whole --figure x.png", "cannot be plotted"),
    ("a figure of another kind", "dataset.parquet --figure x.pdf", "ends neither in .png nor in .svg"),
    ("a figure without a suffix", "dataset.parquet --figure x", "ends neither in .png nor in .svg"),
    ("a figure that exists", "dataset.parquet --figure x.png", "exists", {"x.png": ""}),
    ("a figure that is a folder", "dataset.parquet --figure x.png --overwrite", "x.png is a folder", {"x.png": None}),
    ("a figure below a file", "dataset.parquet --figure x/y.png", "x", {"x": ""}),
    ("two artifacts", "dataset.parquet label_embeddings.parquet", "unexpected extra argument"),
    ("a flag that is misspelled", "dataset.parquet --josn", "--json"),
])  # fmt: skip


@pytest.mark.parametrize("bad", [*EVALUATE, *COMPARE, *CALIBRATE, *REPORT, *INFO], ids=str)
def test_is_refused_in_one_message(bad: Bad, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    bad.check(cxrlt, tmp_path, golden)
