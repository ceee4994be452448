"""What users give to `study`: names, declarations in TOML, flags. Each is refused in one message, and nothing is trained."""

import os
from pathlib import Path

import pytest
from bad_input import Bad, Content, Run, of_stage

GOOD = 'asks = "Does it?"\n[variants.a]\n[variants.b]\ntrain = ["--mixup=0.2"]\n'
SMALL = "--train '--encoder timm:tiny_golden --epochs 1 --device cpu'"


def declared(name: str, content: Content, says: str) -> tuple[str, str, str, dict[str, Content]]:
    return f"file {name}", f"s.toml {SMALL}", says, {"s.toml": content}


def b(line: str) -> str:
    """A declaration whose second variant has one line."""
    return f"[variants.a]\n[variants.b]\n{line}\n"


STUDY = of_stage("study", [
    ("nothing", "", "missing argument STUDY"),
    ("a study that is misspelled", "haeds", "nearest is 'heads'"),
    ("a file that is not there", "s.toml", "neither a study nor a file"),
    declared("empty", "", "declares fewer than two variants"),
    declared("of one variant", "[variants.a]\n", "declares fewer than two variants"),
    declared("of a list of variants", "variants = [1, 2]\n", "declares fewer than two variants"),
    declared("of numbers", "[variants]\na = 1\nb = 2\n", "are keys of a variant"),
    declared("of texts", '[variants]\na = "x"\nb = "y"\n', "are keys of a variant"),
    declared("that is YAML", "variants:\n  a:\n  b:\n", "cannot be read as TOML"),
    declared("that is JSON", '{"variants": {}}', "cannot be read as TOML"),
    declared("in UTF-16", GOOD.encode("utf-16"), "cannot be read as TOML"),
    declared("with a NUL", GOOD.replace("Does", "\0"), "cannot be read as TOML"),
    declared("cut off", GOOD[:-4], "cannot be read as TOML"),
    declared("of a variant twice", GOOD + "[variants.a]\n", "cannot be read as TOML"),
    declared("with an unknown key", "ask = 1\n" + GOOD, "unknown keys ask"),
    declared("of nested studies", f"[one]\n{GOOD}", "unknown keys"),
    declared("with an unknown key of a variant", b('flags = ["--mixup=1"]'), "are keys of a variant"),
    declared("with flags in one text", b('train = "--mixup=1"'), "is a list of flags"),
    declared("with flags that are numbers", b("train = [1]"), "is a list of flags"),
    declared("with words that are no flags", b('train = ["mixup=1"]'), "is a list of flags"),
    declared("with a flag that is misspelled", b('train = ["--mixpu=1"]'), "--mixup"),
    declared("with a flag out of range", b('train = ["--mixup=-1"]'), "--mixup"),
    declared("with a merge flag that is misspelled", b('merge = ["--missng=ignore"]'), "--missing"),
    declared("with a predict flag out of range", b('predict = ["--tta=99"]'), "--tta"),
    declared("with a loss that is misspelled", b('train = ["--loss=bec"]'), "--loss"),
    declared("with epochs of nothing", b("epochs = [0]"), "epochs is a list of numbers above 0"),
    declared("with epochs that are true", b("epochs = [true]"), "epochs is a list of numbers above 0"),
    declared("with epochs that are text", b('epochs = ["5"]'), "epochs is a list of numbers above 0"),
    declared("with epochs that are no list", b("epochs = 5"), "epochs is a list of numbers above 0"),
    declared("with one epoch twice", b("epochs = [5, 5]"), "or one twice"),
    declared("with hard classes of nothing", b('hard = "c"'), "does not declare"),
    declared("with hard classes of a number", b("hard = 3"), "does not declare"),
    declared("with hard classes of itself", b('hard = "b"\ntrain = ["--reweight=hard1:2"]'), "depends on itself"),
    declared("with pseudo-labels of nothing", b('pseudo = "c"\nmerge = ["--missing=pseudo"]'), "does not declare"),
    declared("with pseudo-labels of itself", b('pseudo = "b"\nmerge = ["--missing=pseudo"]'), "depends on itself"),
    declared("with pseudo-labels and no policy", b('pseudo = "a"'), "belong together"),
    declared("with a policy and no pseudo-labels", b('merge = ["--missing=pseudo"]'), "belong together"),
    declared("with labels of nothing", 'labels-from = "c"\n' + GOOD, "does not declare"),
    declared("with labels of a list", "labels-from = [1]\n" + GOOD, "does not declare"),
    declared("a folder", None, "neither a study nor a file"),
    declared("a pipe", os.mkfifo, "neither a study nor a file"),
    declared("a link to itself", lambda path: path.symlink_to("s.toml"), "s.toml"),
    ("a file whose name is no name", "./-s.toml", "cannot be an artifact's name", {"-s.toml": GOOD}),
    *((f"--{flag} {text}", f"heads --{flag} {text}", f"--{flag}") for flag, text in (
        ("seeds", "0"), ("seeds", "-1"), ("first-seed", "-1"), ("resamples", "99"), ("permutations", "0"), ("jobs", "0"),
        ("shard", "2/2"), ("shard", "x"), ("shard", "-1/2"), ("split", "train"))),
    ("flags of a training that are misspelled", "heads --train '--epohcs 3'", "--epochs"),
    ("flags of a training out of range", "heads --train '--lr nan'", "--lr"),
    ("flags with a quote that is not closed", "heads --train \"--name 'x\"", "--train"),
    ("flags that a study sets", "heads --train '--seed 3'", "a study sets this itself"),
    ("a name with a path", "heads --name a/b", "cannot be an artifact's name"),
    ("a dataset that is not there", "heads --dataset gone.parquet", "gone.parquet is not there"),
    ("embeddings that are not there", "heads --embeddings gone.parquet", "gone.parquet is not there"),
    ("a study of that name that is another", f"s.toml --name mixup {SMALL}", "mixup", {"s.toml": GOOD}),
    ("a flag that is misspelled", "heads --sedes 3", "--seeds"),
])  # fmt: skip


@pytest.mark.parametrize("bad", STUDY, ids=str)
def test_is_refused_in_one_message(bad: Bad, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    bad.check(cxrlt, tmp_path, golden)
