"""What users give to `merge` and `join`: label spaces, label maps, policies, names. Each is refused in one message."""

import os
import shutil
from pathlib import Path

import pytest
from bad_input import Bad, Content, Run, of_stage

from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, write_predictions

SPACE = "Effusion\nMass\nNodule\n"
OUT = "--label-space labels.txt --output new.parquet"


def scores(ids: list[str], classes: list[str]) -> Content:
    import numpy as np

    zeros = np.zeros((len(ids), len(classes)), np.float32)
    return lambda path: write_predictions(path, Predictions(ids, classes, zeros, PredictionsHeader(["x"], "train")))


def space(name: str, content: Content, says: str) -> tuple[str, str, str, dict[str, Content]]:
    return f"label space {name}", OUT, says, {"labels.txt": content}


def label_map(name: str, content: Content, says: str) -> tuple[str, str, str, dict[str, Content]]:
    return f"label map {name}", f"{OUT} --map map.csv", says, {"labels.txt": SPACE, "map.csv": content}


def given(name: str, flags: str, says: str) -> tuple[str, str, str, dict[str, Content]]:
    return name, f"{OUT} {flags}", says, {"labels.txt": SPACE}


MERGE = of_stage("merge", [
    ("a label space that is misspelled", "--label-space cxr-lt-2032 --output new.parquet", "nearest is 'cxr-lt-202"),
    ("a label space that is not there", "--label-space labels.txt --output new.parquet", "neither a label space nor a file"),
    ("a label space of the year", "--label-space 2023 --output new.parquet", "neither a label space nor a file"),
    space("empty", "", "names no class"),
    space("of comments", "# a\n#b\n", "names no class"),
    space("in UTF-16", SPACE.encode("utf-16"), "cannot be read as text"),
    space("in Latin-1", "Mass\nÉpanchement\n".encode("latin-1"), "cannot be read as text"),
    space("with NULs", "Mass\0\nNodule\n", "labels.txt"),
    space("with escapes", "Mass\x1b[2J\nNodule\n", "labels.txt"),
    space("a folder", None, "neither a label space nor a file"),
    space("a link to itself", lambda path: path.symlink_to(path.name), "labels.txt"),
    space("a pipe", os.mkfifo, "neither a label space nor a file"),
    space("a class twice", "Mass\nMass\n", "mean the same"),
    space("a synonym twice", "Effusion\nPleural Effusion\n", "mean the same"),
    space("a class in two spellings", "Mass\nmass\n", "mean the same"),
    space("noise", bytes(range(256)), "cannot be read as text"),
    space("without the sources' labels", "Hernia\n", "is a class of the label space"),
    label_map("empty", "", "has no column"),
    label_map("of other columns", "a,b\n1,2\n", "has no column"),
    label_map("with semicolons", "source;label;class\n;Mass;Nodule\n", "has no column"),
    label_map("in UTF-16", "source,label,class\n,Mass,Nodule\n".encode("utf-16"), "UTF-8"),
    label_map("with an empty label", "source,label,class\n,,Mass\n", "an empty label"),
    label_map("with an empty class", "source,label,class\n,Mass,\n", "no class yet"),
    label_map("of an unknown class", "source,label,class\n,Mass,Masss\n", "nearest is 'Mass'"),
    label_map("with two classes", "source,label,class\n,Mass,Nodule\n,Mass,Effusion\n", "two classes"),
    label_map("with a row cut off", "source,label,class\n,Mass\n", "row 2"),
    label_map("a folder", None, "map.csv"),
    label_map("a pipe", os.mkfifo, "map.csv"),
    given("--map without =", "--map Mass", "neither LABEL=CLASS nor"),
    given("--map without a label", "--map =Mass", "neither LABEL=CLASS nor"),
    given("--map of an unknown class", "--map Mass=Maass", "nearest is 'Mass'"),
    given("--map of an unknown label", "--map Maass=Mass", "Maass"),
    given("an unknown policy", "--missing abset", "unknown --missing"),
    given("a policy of nothing", "--uncertain clinic=", "--uncertain"),
    given("a policy of an unknown source", "--missing clinc=ignore", "clinc"),
    given("a soft range turned round", "--uncertain soft:0.8-0.2", "--uncertain"),
    given("a soft range beyond 1", "--uncertain soft:0.5-1.5", "--uncertain"),
    given("a soft range of nan", "--uncertain soft:nan-nan", "--uncertain"),
    given("pseudo without scores", "--missing pseudo", "needs the scores"),
    given("scores without pseudo", "--pseudo x.parquet", "no label is to be filled"),
    given("pseudo scores that are not there", "--missing pseudo --pseudo x.parquet", "x.parquet"),
    ("pseudo scores of other images", f"{OUT} --missing pseudo --blank pseudo --pseudo x.parquet", "x.parquet",
     {"labels.txt": SPACE, "x.parquet": scores(["other"], ["Effusion", "Mass", "Nodule"])}),
    ("pseudo scores that are a CSV", f"{OUT} --missing pseudo --pseudo x.parquet", "x.parquet",
     {"labels.txt": SPACE, "x.parquet": "image_id,Mass\ni1,0.5\n"}),
    given("a threshold turned round", "--missing pseudo --pseudo x --pseudo-threshold 0.9,0.1", "--pseudo-threshold"),
    given("a threshold of nan", "--missing pseudo --pseudo x --pseudo-threshold nan,0.1", "--pseudo-threshold"),
    given("a threshold of one", "--missing pseudo --pseudo x --pseudo-threshold 0.5", "--pseudo-threshold"),
    given("a split of two", "--split 50,50", "--split"),
    given("a split of 101", "--split 70,11,20", "--split"),
    given("a split of nothing to train", "--split 0,50,50", "--split"),
    given("a split below 0", "--split 110,-5,-5", "--split"),
    given("a split of nan", "--split nan,50,50", "--split"),
    given("a split of inf", "--split inf,-inf,100", "--split"),
    given("a split of words", "--split a,b,c", "--split"),
    given("a seed below 0", "--seed -1", "--seed"),
    given("a seed of a fraction", "--seed 1.5", "--seed"),
    given("an unknown source", "--source clinc", "nearest is 'clinic'"),
    given("a source with a path", "--source images/clinic", "is not a cached source"),
    given("an unknown --train-only", "--train-only clinc", "nearest is 'clinic'"),
    given("a flag that is misspelled", "--spilt 70,10,20", "--split"),
    given("a choice that is misspelled", "--same-picture frist", "frist"),
    given("another command's flag", "--epochs 3", "--epochs"),
    given("a word too many", "clinic", "unexpected extra argument"),
    ("an output that exists", "--label-space labels.txt", "exists", {"labels.txt": SPACE}),
    ("an output that is a picture", "--label-space labels.txt --output x.png --overwrite", "x.png",
     {"labels.txt": SPACE, "x.png": b"\x89PNG"}),
    ("an output that is a folder", "--label-space labels.txt --output x --overwrite", "x is a folder", {"labels.txt": SPACE,
          "x": None}),
    ("an output below a file", "--label-space labels.txt --output labels.txt/x.parquet", "labels.txt", {"labels.txt": SPACE}),
    ("an output that is a link to itself", "--label-space labels.txt --output x --overwrite", "x",
     {"labels.txt": SPACE, "x": lambda path: path.symlink_to("x")}),
    ("an output with a name too long", f"--label-space labels.txt --output {'x' * 300}", "xxx", {"labels.txt": SPACE}),
])  # fmt: skip

JOIN = of_stage(
    "join",
    [
        ("no name", "", "missing argument NAME"),
        ("a name without shards", "clinc", "has no shards of clinc"),
        ("a path", "images/clinic", "cannot be an artifact's name"),
        ("a name that leaves the folder", "../clinic", "cannot be an artifact's name"),
        ("a file", "clinic.h5", "has no shards"),
        ("what is joined already", "clinic", "exists"),
        ("two names", "clinic clinic", "unexpected extra argument"),
    ],
)


@pytest.mark.parametrize("bad", [*MERGE, *JOIN], ids=str)
def test_is_refused_in_one_message(bad: Bad, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    bad.check(cxrlt, tmp_path, golden)


SHARDS = {
    "one missing": "00001-of-00002.h5",
    "a table missing": "00001-of-00002.parquet",
}


@pytest.mark.parametrize("gone", SHARDS)
def test_shards_that_are_not_whole(gone: str, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    shutil.copytree(golden / "images", tmp_path / "workspace/images")
    (tmp_path / f"workspace/images/clinic.shard-{SHARDS[gone]}").unlink()
    bad = Bad(gone, "join clinic --overwrite --workspace workspace", "clinic")
    bad.check(cxrlt, tmp_path, golden)
