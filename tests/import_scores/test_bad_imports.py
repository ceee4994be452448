"""What users give to `import`: scores and labels of other tools, columns, patterns. Each is refused in one message."""

import gzip
import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bad_input import Bad, Content, Run, of_stage

Row = tuple[str, str, str, dict[str, Content]]

HEAD = "image_id,Effusion,Mass,Nodule\n"
GOOD = HEAD + "i06,0.25,0.5,0.125\ni07,0.5,0.25,0.75\n"
LABELS = "image_id,patient_id,Mass\ni06,p1,1\ni07,p2,0\n"
NEW = "s.csv --name new --kind probabilities"
TABLE = f"{NEW} --labels l.csv --label-columns Mass --output new.parquet"


def scores(name: str, content: Content, says: str, options: str = "", suffix: str = "csv") -> Row:
    return f"scores {name}", f"s.{suffix} --name new --kind probabilities {options}", says, {f"s.{suffix}": content}


def labels(name: str, content: Content, says: str, options: str = "") -> Row:
    return f"labels {name}", f"{TABLE} {options}", says, {"s.csv": GOOD, "l.csv": content}


def given(name: str, flags: str, says: str) -> Row:
    return name, f"s.csv --name new {flags}", says, {"s.csv": GOOD, "l.csv": LABELS}


def arrays(**named: object) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **named)
    return buffer.getvalue()


def parquet(**columns: object) -> Content:
    return lambda path: pq.write_table(pa.table(columns), path)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


IDS, HALVES = np.array(["i06", "i07"]), np.full((2, 3), 0.5)
SCORES = of_stage("import", [
    scores("empty", "", "has no rows"),
    scores("header only", HEAD, "has no rows"),
    scores("with semicolons", GOOD.replace(",", ";"), "no column"),
    scores("in UTF-16", GOOD.encode("utf-16"), "UTF-8"),
    scores("in Latin-1", GOOD.replace("i06", "größe").encode("latin-1"), "UTF-8"),
    scores("with a NUL", GOOD.replace("i06", "i\0"), "NUL"),
    scores("with a row cut off", GOOD + "i08,0.5\n", "row 4"),
    scores("with a row too long", GOOD + "i08,0.5,0.5,0.5,0.5\n", "row 4"),
    scores("with a quote that is not closed", GOOD + 'i08,"0.5,0.5,0.5\n', "row 4"),
    scores("of nan", GOOD.replace("0.25", "nan"), "s.csv"),
    scores("of inf", GOOD.replace("0.25", "inf"), "outside 0 … 1"),
    scores("beyond all numbers", GOOD.replace("0.25", "1e400"), "outside 0 … 1"),
    scores("of percent", GOOD.replace("0.25", "25 %"), "is not a number"),
    scores("of words", GOOD.replace("0.25", "low"), "is not a number"),
    scores("with decimal commas", GOOD.replace("0.25", '"0,25"'), "decimal point"),
    scores("of an image twice", GOOD + "i06,0.5,0.5,0.5\n", "more than once"),
    scores("of an empty id", GOOD + ",0.5,0.5,0.5\n", "is empty in 1 rows"),
    scores("of a column twice", GOOD.replace("Nodule", "Mass"), "two columns Mass"),
    scores("of other images", GOOD.replace("i0", "x0"), "no image of"),
    scores("of other classes", GOOD.replace("Effusion,Mass,Nodule", "a,b,c"), "no class has both"),
    scores("without an id", GOOD.replace("image_id", "id"), "no column image_id"),
    scores("a folder", None, "s.csv is a folder"),
    scores("a pipe", os.mkfifo, "s.csv"),
    scores("a link to itself", loop, "s.csv"),
    scores("a link to nothing", lambda path: path.symlink_to("gone.csv"), "s.csv is not there"),
    scores("a workbook", b"PK\x03\x04" + bytes(200), "s.xlsx", suffix="xlsx"),
    scores("JSON", '[{"image_id": "i06", "Mass": 1}]\n', "s.csv"),
    scores("a web page", "<!DOCTYPE html>\n<html></html>\n", "no column"),
    scores("gzip cut short", gzip.compress(GOOD.encode() * 50)[:40], "s.csv.gz", suffix="csv.gz"),
    scores("a CSV, named as Parquet", GOOD, "s.parquet", suffix="parquet"),
    scores("Parquet of lists", parquet(image_id=["i06"], Mass=[[0.5]]), "s.parquet", suffix="parquet"),
    scores("Parquet of texts", parquet(image_id=["i06"], Mass=["high"]), "is not a number", suffix="parquet"),
    scores("a CSV, named as npz", GOOD, "s.npz is damaged", suffix="npz"),
    scores("npz without ids", arrays(scores=HALVES), "s.npz", suffix="npz"),
    scores("npz without scores", arrays(image_id=IDS), "s.npz", suffix="npz"),
    scores("npz of three axes", arrays(image_id=IDS, scores=HALVES[None]), "s.npz", suffix="npz"),
    scores("npz of more ids than scores", arrays(image_id=np.array(["a"] * 3), scores=HALVES), "s.npz", suffix="npz"),
    scores("npz of Python objects", arrays(image_id=IDS, scores=HALVES.astype(object)), "pickle", suffix="npz"),
    scores("npz of complex numbers", arrays(image_id=IDS, scores=HALVES * 1j), "s.npz", suffix="npz"),
])  # fmt: skip

TABLES = of_stage("import", [
    ("labels that are not there", TABLE, "l.csv is not there", {"s.csv": GOOD}),
    labels("empty", "", "has no rows"),
    labels("header only", "image_id,patient_id,Mass\n", "has no rows"),
    labels("in UTF-16", LABELS.encode("utf-16"), "UTF-8"),
    labels("of other images", LABELS.replace("i0", "x0"), "no image of"),
    labels("of an image under two patients", LABELS + "i06,p9,1\n", "more than once"),
    labels("of words", LABELS.replace("p1,1", "p1,YES"), "is not a label"),
    labels("of numbers", LABELS.replace("p1,1", "p1,3"), "is not a label"),
    labels("of an empty id", LABELS + ",p3,1\n", "is empty"),
    labels("of a row cut off", LABELS + "i08,p3\n", "row 4"),
    labels("a folder", None, "l.csv is a folder"),
    labels("a pipe", os.mkfifo, "l.csv"),
    labels("of a class twice", "image_id,Mass,mass\ni06,1,0\n", "l.csv", "--label-columns Mass,mass"),
    labels("of an id column that is not there", LABELS, "no column x", "--label-id-column x"),
    labels("of a patient column that is not there", LABELS, "no column x", "--patient-column x"),
    labels("of a split that is none", LABELS.replace("patient_id", "split"), "is not a split"),
    labels("of a pattern that does not fit", LABELS, "do not fit", "--patient-pattern '{patient}_{n}'"),
    ("labels over a dataset with pixels", f"{NEW} --labels l.csv --label-columns Mass --overwrite", "pixels",
     {"s.csv": GOOD, "l.csv": LABELS}),
    *(labels(f"with --{name}-column of another name", LABELS, "no column x", f"--{name}-column x")
      for name in ("study", "view", "sex", "age", "split")),
])  # fmt: skip

OPTIONS = of_stage("import", [
    ("nothing", "", "missing argument SCORES"),
    ("a file that is not there", "gone.csv", "gone.csv is not there"),
    ("an empty name of a file", "''", "has an empty value"),
    given("a kind that is misspelled", "--kind logit", "logit"),
    given("a split that is misspelled", "--split tset", "tset"),
    given("another split", "--kind probabilities --split train", "no image of"),
    given("a name with a path", "--name a/b", "cannot be an artifact's name"),
    given("a name that exists", "--kind probabilities --name whole", "exists"),
    given("a dataset that is not there", "--dataset gone.parquet", "gone.parquet is not there"),
    given("a dataset that is a CSV", "--dataset l.csv", "l.csv"),
    given("a dataset and labels", "--dataset dataset.parquet --labels l.csv", "exclude each other"),
    given("columns without a class", "--columns prob_", "prob_"),
    given("columns of two classes", "--columns '{class}{class}'", "braces"),
    given("columns with open braces", "--columns 'prob_{class'", "braces"),
    given("columns that are not there", "--columns 'prob_{class}'", "no column"),
    given("a map that is not there", "--columns gone.csv", "gone.csv"),
    given("a map of other columns", "--columns l.csv", "no column column, class"),
    given("an id column that is not there", "--id-column x", "no column x"),
    given("row numbers of two files", "--id-column '#' --labels l.csv", "same file"),
    given("labels' flags without labels", "--label-columns Mass", "only with --labels"),
    given("a separator without its column", "--labels l.csv --separator ';'", "needs --label-column"),
    given("an empty separator", "--labels l.csv --separator ''", "separator"),
    given("two kinds of labels", "--labels l.csv --label-column x --label-columns Mass", "--label-column"),
    given("two kinds of patients", "--labels l.csv --patient-column x --patient-pattern '{patient}'", "exclude each other"),
    given("a pattern without a patient", "--labels l.csv --patient-pattern '{n}.png'", "with one {patient}"),
    given("values that are no grammar", "--labels l.csv --values YES", "--values"),
    given("values of other labels", "--labels l.csv --values YES=2", "--values"),
    given("values of a word twice", "--labels l.csv --values a=1,a=0", "--values"),
    given("a flag that is misspelled", "--lables l.csv", "--labels"),
    given("two files", "l.csv", "unexpected extra argument"),
])  # fmt: skip


@pytest.mark.parametrize("bad", [*SCORES, *TABLES, *OPTIONS], ids=str)
def test_is_refused_in_one_message(bad: Bad, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    bad.check(cxrlt, tmp_path, golden)
