"""What users give to `embed-labels` and `fetch`: texts, encoders, label spaces. Each is refused in one message."""

import os
from pathlib import Path

import pytest
from bad_input import Bad, Content, Run, of_stage

HEAD = "class,prompt,description\n"
MASS = HEAD + "Mass,a mass,It is round.\n"
NEW = "--encoder ngram --output new.parquet"


def texts(name: str, content: Content, says: str) -> tuple[str, str, str, dict[str, Content]]:
    return (
        f"texts {name}",
        f"{NEW} --label-space labels.txt --texts texts.csv",
        says,
        {"labels.txt": "Mass\n", "texts.csv": content},
    )


def folder(name: str, says: str, **files: Content) -> tuple[str, str, str, dict[str, Content]]:
    inside = {f"bert/{file.replace('_json', '.json').replace('_', '.')}": content for file, content in files.items()}
    return f"encoder folder {name}", "--encoder ./bert --output new.parquet", says, inside or {"bert": None}


EMBED = of_stage("embed-labels", [
    ("texts that are not there", f"{NEW} --texts texts.csv", "texts.csv"),
    texts("empty", "", "has no column"),
    texts("header only", HEAD, "has no rows"),
    texts("of other columns", "label,text\nMass,a mass\n", "has no column class, prompt"),
    texts("with semicolons", MASS.replace(",", ";"), "has no column"),
    texts("in UTF-16", MASS.encode("utf-16"), "UTF-8"),
    texts("in Latin-1", MASS.replace("round", "rundlich, größer").encode("latin-1"), "UTF-8"),
    texts("with an empty prompt", HEAD + "Mass,,It is round.\n", "an empty cell"),
    texts("with an empty class", HEAD + ",a mass,It is round.\n", "an empty cell"),
    texts("with blanks for a description", HEAD + "Mass,a mass,   \n", "an empty cell"),
    texts("of another class", HEAD + "Nodule,a nodule,It is small.\n", "has no text for Mass"),
    texts("with commas that lack quotes", HEAD + "Mass,a mass,It is round, dense.\n", "row 2"),
    texts("with a quote that is not closed", HEAD + 'Mass,"a mass,It is round.\n', "row 2"),
    texts("with a NUL", HEAD + "Mass,a\0mass,It is round.\n", "NUL"),
    texts("a folder", None, "texts.csv"),
    texts("a pipe", os.mkfifo, "texts.csv"),
    texts("a link to itself", lambda path: path.symlink_to("texts.csv"), "texts.csv"),
    texts("a workbook", b"PK\x03\x04" + bytes(99), "texts.csv"),
    ("an encoder that is not there", "--encoder pubmedbrt --output new.parquet", "is not on this machine"),
    ("an encoder on the hub that is not there", "--encoder a/b --output new.parquet", "is not on this machine"),
    ("an encoder of three names", "--encoder a/b/c --output new.parquet", "is not a folder"),
    ("an encoder that is a file", "--encoder ./x --output new.parquet", "is not a folder", {"x": ""}),
    ("an encoder of strange marks", "--encoder 'a b;c' --output new.parquet", "is not on this machine"),
    ("an empty encoder", "--encoder '' --output new.parquet", "--encoder has an empty value"),
    folder("empty", "lacks config.json"),
    folder("of a configuration alone", "lacks", config_json="{}"),
    ("a label space that is misspelled", f"{NEW} --label-space chexprt", "nearest is 'chexpert'"),
    ("a dataset that is not there", f"{NEW} --label-space dataset --workspace nowhere", "is not there"),
    ("a text that is misspelled", f"{NEW} --text prompts", "prompts"),
    ("an output that exists", "--encoder ngram", "exists"),
    ("an output of something else", "--encoder ngram --output x.csv --overwrite", "x.csv", {"x.csv": "a,b\n"}),
    ("an output that is a folder", "--encoder ngram --output x --overwrite", "x is a folder", {"x": None}),
    ("a flag that is misspelled", "--enocder ngram", "--encoder"),
])  # fmt: skip

FETCH = of_stage(
    "fetch",
    [
        ("nothing", "", "nothing to fetch"),
        ("a network that does not exist", "--backbone resnet5", "resnet5"),
        ("a network with a path", "--backbone ../resnet50", "resnet50"),
        ("an empty network", "--backbone ''", "--backbone has an empty value"),
        ("an empty encoder", "--encoder=", "--encoder has an empty value"),
        ("a name for all", "resnet50", "unexpected extra argument"),
        ("a flag that is misspelled", "--backbnoe resnet50", "--backbone"),
    ],
)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("bad", [*EMBED, *FETCH], ids=str)
def test_is_refused_in_one_message(bad: Bad, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    bad.check(cxrlt, tmp_path, golden)
