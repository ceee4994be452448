"""Label tables and folders of sources as users bring them, to `cache`: each is refused in one message."""

import gzip
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bad_input import Bad, Content, Run, of_stage
from PIL import Image

HEAD = "image_id,patient_id,Mass,Nodule\n"
GOOD = HEAD + "a.png,p1,1,0\nb.png,p2,0,1\n"


def picture(path: Path) -> None:
    Image.linear_gradient("L").resize((16, 16)).save(path)


PICTURES: dict[str, Content] = {"a.png": picture, "b.png": picture}


def parquet(**columns: object) -> Content:
    return lambda path: pq.write_table(pa.table(columns), path)


def zipped(text: str, part: float = 1.0) -> bytes:
    whole = gzip.compress(text.encode())
    return whole[: int(part * len(whole))]


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def table(name: str, content: Content, says: str, options: str = "--label-columns Mass,Nodule", suffix: str = "csv") -> Bad:
    file = f"labels.{suffix}"
    return Bad(f"table: {name}", f"cache --source table={file} {options}", says, {file: content, **PICTURES})


FORMS = [
    table("empty", "", "has no rows"),
    table("only blank lines", "\n\n\n", "has no rows"),
    table("header only", HEAD, "has no rows"),
    table("header only, no line end", HEAD.strip(), "has no rows"),
    table("semicolons", GOOD.replace(",", ";"), "no column"),
    table("tabs", GOOD.replace(",", "\t"), "no column"),
    table("bars", GOOD.replace(",", "|"), "no column"),
    table("UTF-16 with its mark", GOOD.encode("utf-16"), "not text in UTF-8"),
    table("UTF-16 without a mark", GOOD.encode("utf-16-le"), "NUL"),
    table("UTF-32", GOOD.encode("utf-32"), "UTF-8"),
    table("Latin-1", GOOD.replace("p1", "Müller").encode("latin-1"), "not text in UTF-8"),
    table("a NUL", GOOD.replace("p1", "p\0"), "NUL"),
    table("noise", bytes(range(256)) * 8, "labels.csv"),
    table("a picture",
          lambda path: picture(path.with_suffix(".png")) or path.write_bytes(path.with_suffix(".png").read_bytes()),
          "labels.csv"),
    table("a spreadsheet", b"PK\x03\x04\x14\0\x06\0\x08\0" + bytes(200), "labels.csv"),
    table("a web page", "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n", "no column"),
    table("JSON", '[{"image_id": "a.png", "Mass": 1}]\n', "labels.csv"),
    table("a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "no column"),
    table("a folder", None, "is not there"),
    table("a link to itself", loop, "labels.csv"),
    table("a link to nothing", lambda path: path.symlink_to("gone.csv"), "is not there"),
    table("a pipe", os.mkfifo, "is not there"),
    table("a terabyte of zeros", sparse, "labels.csv"),
    table("gzip cut short", zipped(GOOD * 50, 0.5), "labels.csv.gz", suffix="csv.gz"),
    table("gzip of other bytes", b"no gzip", "labels.csv.gz", suffix="csv.gz"),
    table("gzip with a wrong sum", zipped(GOOD)[:-8] + bytes(8), "labels.csv.gz", suffix="csv.gz"),
    table("gzip, named as plain", zipped(GOOD), "UTF-8"),
    table("plain, named as gzip", GOOD, "labels.csv.gz", suffix="csv.gz"),
    table("CSV, named as Parquet", GOOD, "cannot be read as a table", suffix="parquet"),
    table("Parquet cut short", lambda path: path.write_bytes(b"PAR1" + bytes(50)), "cannot be read as a table",
          suffix="parquet"),
    table("Parquet without rows", parquet(image_id=pa.array([], pa.string())), "has no rows", suffix="parquet"),
    table("Parquet of one column twice", lambda path: pq.write_table(
        pa.Table.from_arrays([pa.array(["a.png"]), pa.array(["p"]), pa.array([1]), pa.array([0])],
                             names=["image_id", "patient_id", "Mass", "Mass"]), path),
        "Mass", "--label-columns Mass", suffix="parquet"),
    table("Parquet of nested labels", parquet(image_id=["a.png"], patient_id=["p"], Mass=[{"x": 1}], Nodule=[[1]]),
          "is not a label", suffix="parquet"),
    table("a spreadsheet by its name", b"PK\x03\x04" + bytes(200), "labels.xlsx", suffix="xlsx"),
]  # fmt: skip

ROWS = [
    table("a row cut off", GOOD + "c.png,p3,1", "row 4"),
    table("a row too long", GOOD + "c.png,p3,1,0,1\n", "row 4"),
    table("a quote that is not closed", GOOD + 'c.png,"p3,1,0\n', "row 4"),
    table("two stray quotes", HEAD + 'a.png,"p1,1,0\nb.png,p2,0,1\nc.png,p3",1,0\n', "row 2"),
    table("a quote in a cell", GOOD + 'c.png,"p"3,1,0\n', "row 4"),
    table("a cell of a megabyte", GOOD + f"c.png,{'x' * 1_000_000},1,0\n", "row 4"),
    table("a line of 20 megabytes", GOOD + "x" * 20_000_000, "line 4"),
    table("one column twice", "image_id,patient_id,Mass,Mass\na.png,p,1,0\n", "two columns Mass", "--label-columns Mass"),
    table("one image twice", GOOD + "a.png,p1,0,0\n", "more than once: a.png"),
    table("one image under two patients", GOOD + "a.png,p2,1,0\n", "more than once: a.png"),
    table("an empty id", GOOD + ",p3,1,0\n", "'image_id' is empty in 1 rows"),
    table("blank ids", GOOD + "  ,p3,1,0\n", "'image_id' is empty"),
    table("an empty patient", GOOD + "c.png,,1,0\n", "'patient_id' is empty"),
    table("no ids", "patient_id,Mass,Nodule\np1,1,0\n", "no column image_id"),
    table("no patients", "image_id,Mass,Nodule\na.png,1,0\n", "no column patient_id"),
    table("the header in other letters", GOOD.replace("image_id", "Image ID"), "no column image_id"),
    table("a header with blanks", GOOD.replace("patient_id", " patient_id "), "no column patient_id"),
    table("no header", GOOD.removeprefix(HEAD), "no column"),
]  # fmt: skip


def labelled(value: str, says: str = "is not a label", name: str = "") -> Bad:
    return table(f"label {name or value[:12]!r}", f"{HEAD}a.png,p1,1,0\nb.png,p2,{value},1\n", says)


LABELS = [
    *(labelled(value) for value in ("2", "0.5", "1e400", "-1e400", "inf", "-inf", "-2", "yes", "Mass", "1;0", "0x1", "1_0",
          "١٢", "=1+1",
                                    "=cmd|' /C calc'!A0", "#REF!", "TRUE", "1.0.0", "--1", "9" * 400, "None", "?", "1 0")),
    labelled('"1,0"', name="two in quotes"),
    labelled('"x\ny"', name="two lines"),
    table("labels that are text", GOOD, "no column Cardiomegaly", "--label-columns Cardiomegaly"),
    table("no label columns", GOOD, "which columns are labels?", ""),
    table("labels that are words, no options", "image_id,patient_id,Mass\na.png,p,yes\n", "which columns are labels?", ""),
    table("a label column twice", GOOD, "twice", "--label-columns Mass,Mass"),
    table("a label space whose columns are not there", GOOD, "no column", "--label-columns cxr-lt-2023"),
    table("--values that is no grammar", GOOD, "--values", "--label-columns Mass --values YES"),
    table("--values of other labels", GOOD, "--values", "--label-columns Mass --values YES=2"),
    table("--values of a word twice", GOOD, "--values", "--label-columns Mass --values a=1,a=0"),
    table("text labels that are blank", "image_id,patient_id,found\na.png,p,\n", "has no labels", "--label-column found"),
    table("a list that is not closed", "image_id,patient_id,found\na.png,p,\"['Mass', Nodule']\"\n", "row 1",
          "--label-column found"),
    table("--label-column of another name", GOOD, "no column found", "--label-column found"),
    table("text labels of a separator", "image_id,patient_id,found\na.png,p,|\n", "has no labels", "--label-column found"),
    table("both ways of labels", GOOD, "do not go with it", "--label-columns Mass --label-column Nodule"),
    table("a separator of nothing", GOOD, "--separator", '--label-columns Mass --separator ""'),
    table("a separator without its column", GOOD, "--separator", '--label-columns Mass --separator ";"'),
]  # fmt: skip

COLUMNS = [
    table("a split of another name", GOOD.replace("Nodule", "split").replace(",1\n", ",holdout\n").replace(",0\n", ",train\n"),
          "holdout is not a split", "--label-columns Mass"),
    table("an inverted that says nothing", GOOD, "does not say whether", "--label-columns Mass --invert-column patient_id"),
    *(table(f"--{what}-column of another name", GOOD, "no column none", f"--label-columns Mass --{what}-column none")
      for what in ("image", "path", "patient", "study", "view", "sex", "age", "split", "invert")),
    table("an empty --image-column", GOOD, "--image-column", '--label-columns Mass --image-column ""'),
    table("an empty --patient-column", GOOD, "--patient-column", '--label-columns Mass --patient-column ""'),
    table("images elsewhere", GOOD, "there is not a folder", "--label-columns Mass --images there"),
    table("images in a file", GOOD, "is not a folder", "--label-columns Mass --images a.png"),
    table("files with the other slash", GOOD.replace("a.png", "x\\a.png").replace("b.png", "x\\b.png"), "written with \\"),
    table("files with another suffix", GOOD.replace(".png", ".jpg"), "instead of 'a.jpg'"),
    table("one file missing", GOOD + "c.png,p3,1,0\n", "1 of them are not under"),
    table("ids longer than a name may be", f"{HEAD}{'x' * 5000}.png,p,1,0\n", "none of the 1 images"),
    table("ids of control characters", HEAD + "a\x1b[2J.png,p,1,0\n", "none of the 1 images"),
]  # fmt: skip

KINDS = of_stage("cache", [
    ("no source", "", "--source"),
    ("a source without =", "--source labels.csv", "is not KIND=PATH"),
    ("a source without a path", "--source table=", "is not KIND=PATH"),
    ("a kind that is misspelled", "--source chexprt=x", "nearest is 'chexpert'"),
    ("a kind in capitals", "--source CheXpert=x", "nearest is 'chexpert'"),
    ("a table that is not there", "--source table=gone.csv --label-columns Mass", "is not there"),
    ("options of a table for a published source", "--source chexpert=. --label-columns Mass", "only for --source table"),
    ("--labels for a table", "--source table=x.csv --labels y.csv", "--labels is for published sources"),
    *((f"{kind} of an empty folder", f"--source {kind}=here", "here", {"here": None})
      for kind in ("mimic-cxr-lt", "chestxray14", "chexpert", "padchest", "padchest-lt", "vindr-cxr")),
    *((f"{kind} of a folder that is not there", f"--source {kind}=gone", "gone")
      for kind in ("mimic-cxr-lt", "chestxray14", "chexpert", "padchest", "padchest-lt", "vindr-cxr")),
    *((f"{kind} of a table of something else", f"--source {kind}=here --labels other.csv", "no column",
       {"here/images/x.png": picture, "other.csv": "a,b\n1,2\n"})
      for kind in ("mimic-cxr-lt", "chestxray14", "chexpert", "padchest", "padchest-lt", "vindr-cxr")),
    *((f"{kind} of a table in UTF-16", f"--source {kind}=here --labels other.csv", "UTF-8",
       {"here/images/x.png": picture, "other.csv": GOOD.encode("utf-16")})
      for kind in ("mimic-cxr-lt", "chestxray14", "chexpert", "padchest", "padchest-lt", "vindr-cxr")),
    *((f"{kind} of a table without rows", f"--source {kind}=here --labels other.csv", "has no rows",
          {"here/images/x.png": picture, "other.csv": HEAD})
      for kind in ("mimic-cxr-lt", "chestxray14", "chexpert", "padchest", "padchest-lt", "vindr-cxr")),
])  # fmt: skip


@pytest.mark.parametrize("bad", [*FORMS, *ROWS, *LABELS, *COLUMNS, *KINDS], ids=str)
def test_is_refused_in_one_message(bad: Bad, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    bad.check(cxrlt, tmp_path, golden)
