"""What users give to `predict`, `ensemble` and `explain`: runs, images, lists, weights. Each is refused in one message."""

import os
from pathlib import Path

import numpy as np
import pytest
import tiny_encoder  # noqa: F401 - the runs of the golden workspace are of this network
from bad_input import Bad, Content, Run, of_stage
from PIL import Image

from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, write_predictions

NEW = "whole --name new --device cpu"
LIST = f"{NEW} --images folder --list list.csv"
HEAD = "dicom_id,path,study_id,ViewPosition\n"


def picture(path: Path) -> None:
    Image.linear_gradient("L").resize((16, 16)).save(path)


PICTURE: dict[str, Content] = {"folder/a.png": picture}


def listed(name: str, content: Content, says: str, options: str = "") -> tuple[str, str, str, dict[str, Content]]:
    return f"list {name}", f"{LIST} {options}", says, {**PICTURE, "list.csv": content}


def scores(ids: list[str], classes: list[str], split: str = "val", run: str = "other") -> Content:
    logits = np.zeros((len(ids), len(classes)), np.float32)
    return lambda path: write_predictions(path, Predictions(ids, classes, logits, PredictionsHeader([run], split)))


PREDICT = of_stage("predict", [
    ("a run that is misspelled", "whoel --name new", "nearest is 'whole'"),
    ("a run twice", "whole whole --name new", "is named twice"),
    ("a run that leaves the folder", "../../gone --name new", "is no run"),
    ("a file in place of a run", "x --name new", "is no run", {"x": ""}),
    ("predictions in place of a run", "predictions/whole --name new", "is no run"),
    ("an empty folder in place of a run", "x --name new", "x", {"x": None}),
    ("a run with a checkpoint of text", "x --name new", "config.json is damaged", {"x/best.pt": "text", "x/config.json": "{}"}),
    ("an ensemble that is misspelled", "--ensemble piar --name new", "nearest is 'pair'"),
    ("an ensemble and runs", "whole --ensemble pair --name new", "--ensemble"),
    ("an ensemble that is a run", "--ensemble runs/whole --name new", "is no ensemble"),
    ("an ensemble that is a picture", "--ensemble x.png --name new", "x.png", {"x.png": picture}),
    ("an ensemble that is a CSV", "--ensemble x.csv --name new", "x.csv", {"x.csv": "a\n1\n"}),
    *((f"--member-weights {text}", f"whole fused --name new --member-weights {text}", "--member-weights")
      for text in ("1", "1,2,3", "a,b", "nan,1", "inf,1", "-1,2", "0,0", "1;2", "1e308,1e308", ",")),
    *((f"--study {text}", f"{NEW} --study {text}", "--study") for text in ("eqaul", "1", "1:2:3", "-1:1", "0:0", "nan:1",
          "inf:1", "1e308:1e308")),
    *((f"--tta {text}", f"{NEW} --tta {text}", "--tta") for text in ("0", "17", "-1", "1.5", "x")),
    ("a batch of nothing", f"{NEW} --batch-size 0", "--batch-size"),
    ("workers below 0", f"{NEW} --workers -1", "--workers"),
    ("a split that is misspelled", f"{NEW} --split tset", "tset"),
    ("a merge that is misspelled", f"{NEW} --merge geomaen", "geomaen"),
    ("a device that is not there", "whole --name new --device cuda", "cuda"),
    ("a name with a path", "whole --name a/b", "cannot be an artifact's name"),
    ("a name that exists", "whole --name whole", "exists"),
    ("a flag that is misspelled", "whole --tat 8", "--tta"),
    ("a dataset that is not there", f"{NEW} --dataset gone.parquet", "gone.parquet is not there"),
    ("a dataset that is predictions", f"{NEW} --dataset x.parquet", "x.parquet is cxrlt predictions",
     {"x.parquet": scores(["a"], ["Mass"])}),
    ("a calibration that is not there", f"{NEW} --calibrate wram", "wram"),
    ("a calibration that is a CSV", f"{NEW} --calibrate x.csv", "x.csv", {"x.csv": "a\n1\n"}),
    ("a calibration that is an ensemble", f"{NEW} --calibrate x.json", "x.json", {"x.json": '{"format": "cxrlt ensemble"}'}),
    ("a calibration that is a list", f"{NEW} --calibrate x.json", "x.json", {"x.json": "[]"}),
    ("a calibration that is a pipe", f"{NEW} --calibrate x.json", "x.json", {"x.json": os.mkfifo}),
    ("images that are not there", f"{NEW} --images gone", "gone is not a folder"),
    ("images that are a file", f"{NEW} --images x.png", "x.png is not a folder", {"x.png": picture}),
    ("images of an empty folder", f"{NEW} --images x", "x", {"x": None}),
    ("images of a folder of texts", f"{NEW} --images x", "x", {"x/a.txt": "text", "x/b.csv": "a\n"}),
    ("images of a folder of hidden files", f"{NEW} --images x", "x", {"x/.a.png": picture}),
    ("images of a link to itself", f"{NEW} --images x", "x", {"x": lambda path: path.symlink_to("x")}),
    ("images of a folder that holds itself", f"{NEW} --images x", "x", {"x/y": lambda path: path.symlink_to(path.parent)}),
    ("an empty --images", f"{NEW} --images ''", "--images has an empty value"),
    ("--verify of a folder", f"{NEW} --images folder --verify", "for the pixels of a dataset", PICTURE),
    ("--list without --images", f"{NEW} --list list.csv", "--list needs --images"),
    ("--study of a folder", f"{NEW} --images folder --study equal", "needs --list", PICTURE),
    ("--invert-column without --list", f"{NEW} --images folder --invert-column x", "needs --list", PICTURE),
    listed("empty", "", "has no rows"),
    listed("header only", HEAD, "has no rows"),
    listed("without its columns", "a,b\n1,2\n", "has no column"),
    listed("in UTF-16", (HEAD + "a,a.png,s,PA\n").encode("utf-16"), "UTF-8"),
    listed("of an image twice", HEAD + "a,a.png,s,PA\na,b.png,s,PA\n", "more than once"),
    listed("of an empty id", HEAD + ",a.png,s,PA\n", "is empty"),
    listed("of an empty path", HEAD + "a,,s,PA\n", "is empty"),
    listed("of files that are not there", HEAD + "b,b.png,s,PA\n", "none of the 1 images"),
    listed("of a row cut off", HEAD + "a,a.png\n", "row 2"),
    listed("of a quote that is not closed", HEAD + 'a,"a.png,s,PA\n', "row 2"),
    listed("of another id column", HEAD + "a,a.png,s,PA\n", "no column x", "--id-column x"),
    listed("of another path column", HEAD + "a,a.png,s,PA\n", "no column x", "--path-column x"),
    listed("of another study column", HEAD + "a,a.png,s,PA\n", "no column x", "--study equal --study-column x"),
    listed("of another view column", HEAD + "a,a.png,s,PA\n", "no column x", "--study 1:2 --view-column x"),
    listed("of an inverted that says nothing", HEAD + "a,a.png,s,PA\n", "does not say", "--invert-column study_id"),
    listed("a folder", None, "list.csv"),
    listed("a pipe", os.mkfifo, "list.csv"),
    ("a submission that is a folder", f"{NEW} --submission x --overwrite", "x is a folder", {"x": None}),
    ("a submission of something else", f"{NEW} --submission x.csv --overwrite", "is no submission", {"x.csv": "a,b\n"}),
    ("a submission that exists", f"{NEW} --submission x.csv", "exists", {"x.csv": "dicom_id,Mass\n"}),
    ("a submission below a file", f"{NEW} --submission x/y.csv", "x", {"x": ""}),
    ("an id column that is a class", f"{NEW} --submission x.csv --id-column Mass", "Mass"),
])  # fmt: skip

ENSEMBLE = of_stage("ensemble", [
    ("no members", "", "an ensemble needs members"),
    ("a member that is misspelled", "runs/whoel --name new", "is neither a run"),
    ("a member twice by two names", "whole x.parquet --name new", "x.parquet", {"x.parquet": scores(["other"], ["Mass"])}),
    ("a member that is a CSV", "x.csv whole --name new", "x.csv", {"x.csv": "a\n1\n"}),
    ("a member of other classes", "runs/whole x.parquet --name new", "x.parquet", {"x.parquet": scores(["i00"], ["Hernia"])}),
    ("a member that is a pipe", "x whole --name new", "x", {"x": os.mkfifo}),
    ("no rounds", "whole fused --select greedy --rounds 0 --name new", "--rounds"),
    ("weights of greedy", "whole fused --select greedy --member-weights 1,2 --name new", "exclude each other"),
    ("weights beyond all numbers", "whole fused --member-weights 1e308,1e308 --name new", "--member-weights"),
    ("greedy on the test split", "predictions/whole.parquet --select greedy --name new", "validation"),
    ("--apply of one for two", "whole fused --apply whole --name new", "--apply"),
    ("--apply of other runs", "whole fused --apply predictions/fused.parquet --apply predictions/whole.parquet --name new",
          "--apply"),
    ("a name that exists", "whole fused --name pair", "exists"),
    ("a name with a path", "whole fused --name a/b", "cannot be an artifact's name"),
    ("its own member", "predictions/pair.parquet whole --name pair --overwrite", "pair.parquet"),
    ("a merge that is misspelled", "whole fused --merge maen --name new", "maen"),
    ("a study that is misspelled", "whole fused --study eqaul --name new", "--study"),
    ("a flag that is misspelled", "whole fused --selcet greedy --name new", "--select"),
])  # fmt: skip

EXPLAIN = of_stage("explain", [
    ("nothing", "", "missing arguments"),
    ("no image", "whole", "missing arguments"),
    ("a run that is misspelled", "whoel i08", "nearest is 'whole'"),
    ("an id that is not there", "whole gone --device cpu", "gone"),
    ("a picture that is empty", "whole x.png --device cpu", "x.png", {"x.png": ""}),
    ("a picture that is text", "whole x.png --device cpu", "x.png", {"x.png": "text"}),
    ("a picture that is a folder", "whole x.png --device cpu", "x.png", {"x.png": None}),
    ("a picture twice", "whole i08 i08 --device cpu", "i08"),
    ("a label that is misspelled", "whole i08 --label Mas --device cpu", "nearest is 'Mass'"),
    ("nothing to explain", "whole i08 --top 0", "--top"),
    ("labels below 0", "whole i08 --top -1", "--top"),
    ("a name that exists", "whole i08 --name whole --device cpu", "exists"),
    ("a name with a path", "whole i08 --name a/b", "cannot be an artifact's name"),
    ("a method that is misspelled", "whole i08 --method gradcam", "gradcam"),
    ("a dataset that is not there", "whole i08 --dataset gone.parquet --device cpu", "gone.parquet"),
    ("an image that leaves the folder", "whole ../../x.png --device cpu", "x.png"),
])  # fmt: skip


@pytest.mark.parametrize("bad", [*PREDICT, *ENSEMBLE, *EXPLAIN], ids=str)
def test_is_refused_in_one_message(bad: Bad, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    bad.check(cxrlt, tmp_path, golden)
