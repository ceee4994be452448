"""What users give to `slurm`, `check`, `demo`, and to `cache` in a job array. Each is refused in one message."""

import os
from pathlib import Path

import pytest
from bad_input import Bad, Run, of_stage

SOURCE = "out --source table=x.csv"

SLURM = of_stage("slurm", [
    ("nothing", "", "missing argument OUT"),
    ("no source", "out", "no source"),
    ("a kind that is misspelled", "out --source chexprt=x", "nearest is 'chexpert'"),
    ("two sources of one name", "out --source table=a/x.csv --source table=b/x.csv", "two sources have one name"),
    *((f"--time {text}", f"{SOURCE} --time {text}", "--time") for text in ("x", "1:2", "-1", "1d", "12:00:00:00", "12h", "1-")),
    *((f"--{flag} {text}", f"{SOURCE} --{flag} {text}", f"--{flag}") for flag, text in (
        ("shards", "0"), ("shards", "-1"), ("nodes", "0"), ("gpus", "-1"), ("cpus", "0"), ("cpus", "x"), ("partition", "'a b'"),
        ("partition", "'a;b'"), ("account", "'$(id)'"), ("account", "a/b"))),
    ("a name with a path", f"{SOURCE} --name a/b", "cannot be an artifact's name"),
    *((f"--{stage} that is misspelled", f"{SOURCE} --{stage} '--no-such-flag 1'", "--no-such-flag")
      for stage in ("cache", "embed-labels", "merge", "train", "predict", "evaluate")),
    *((f"--{stage} with a quote that is not closed", f"{SOURCE} --{stage} \"'\"", f"--{stage}")
      for stage in ("cache", "embed-labels", "merge", "train", "predict", "evaluate")),
    ("--train out of range", f"{SOURCE} --train '--epochs 0'", "--epochs"),
    ("--cache out of range", f"{SOURCE} --cache '--size 4'", "--size"),
    ("--cache beyond its range", f"{SOURCE} --cache '--clahe 50'", "--clahe"),
    ("--predict out of range", f"{SOURCE} --predict '--tta 0'", "--tta"),
    ("--merge out of range", f"{SOURCE} --merge '--split 1,2,3'", "--split"),
    ("--evaluate out of range", f"{SOURCE} --evaluate '--specificity 2'", "--specificity"),
    ("a folder that is a file", "x --source table=x.csv", "x", {"x": ""}),
    ("scripts that exist", SOURCE, "exists", {"out/submit.sh": ""}),
    ("a flag that is misspelled", f"{SOURCE} --partiton gpu", "--partition"),
])  # fmt: skip

CHECK = of_stage(
    "check",
    [
        ("space below 0", "--space -1", "--space"),
        ("space of nan", "--space nan", "--space"),
        ("more space than there is", "--space 1e9 --backbone none", "space"),
        ("a network that is misspelled", "--backbone resnet5", "resnet5"),
        ("an encoder that is misspelled", "--backbone none --encoder minlm", "encoder minlm"),
        ("a device that is misspelled", "--device gpu", "gpu"),
        ("a GPU where there is none", "--device cuda --backbone none", "GPU"),
        ("a dataset that is not there", "--dataset gone.parquet --backbone none", "dataset"),
        ("a dataset that is a CSV", "--dataset x.csv --backbone none", "dataset", {"x.csv": "a\n1\n"}),
        ("embeddings that are not there", "--embeddings gone.parquet --backbone none", "classes"),
        ("embeddings that are a pipe", "--embeddings x --backbone none", "classes", {"x": os.mkfifo}),
        ("a workspace that is not there", "--workspace gone --backbone none", "workspace"),
        ("a flag that is misspelled", "--backbnoe none", "--backbone"),
    ],
)

DEMO = of_stage("demo", [
    ("a folder that is a file", "x", "exists", {"x": ""}),
    ("a folder of something else", "x", "exists", {"x/y": ""}),
    ("a folder of something else, to replace", "x --overwrite", "was not created by cxrlt demo", {"x/y": ""}),
    ("a folder that is a file, to replace", "x --overwrite", "x", {"x": ""}),
    ("a folder below a file", "x/y", "x", {"x": ""}),
    ("a folder that is a link to itself", "x", "x", {"x": lambda path: path.symlink_to("x")}),
    *((f"--{flag} {text}", f"x --{flag} {text}", f"--{flag}") for flag, text in (
        ("phantoms", "99"), ("phantoms", "-1"), ("phantoms", "1e3"), ("epochs", "0"), ("size", "15"), ("size", "193"), ("tail",
              "0.2"),
        ("tail", "nan"), ("tail", "inf"), ("seed", "-1"), ("findings", "esay"))),
    ("hard findings with trainings", "x --findings hard", "--data-only"),
    ("two folders", "x y", "unexpected extra argument"),
    ("a flag that is misspelled", "x --phantms 100", "--phantoms"),
])  # fmt: skip

CACHE = of_stage("cache", [
    *((f"--{flag} {text}", f"--source table=x.csv --label-columns Mass --{flag} {text}", f"--{flag}") for flag, text in (
        ("size", "7"), ("size", "4097"), ("size", "0"), ("size", "-8"), ("size", "x"), ("size", "1.5"), ("clahe", "-1"),
              ("clahe", "41"),
        ("clahe", "nan"), ("clahe", "inf"), ("window", "1"), ("window", "99,1"), ("window", "nan,99"), ("window", "0,101"),
        ("window", "a,b"), ("window", "1,1"), ("shard", "1"), ("shard", "1/1"), ("shard", "-1/2"), ("shard", "a/b"), ("shard",
              "0/0"),
        ("shard", "0/100000"), ("shard", "slurm"), ("workers", "-1"), ("workers", "x"), ("fit", "padd"), ("resample",
              "cubic"))),
    ("a name with a path", "--source table=x.csv --name a/b", "cannot be an artifact's name"),
    ("a name from a table's", "--source table=-x.csv", "cannot be an artifact's name"),
    ("--resume and --overwrite", "--source table=x.csv --resume --overwrite", "exclude each other"),
    ("a flag that is misspelled", "--source table=x.csv --lable-columns Mass", "--label-columns"),
    ("a command that is misspelled", "--sorce table=x.csv", "--source"),
])  # fmt: skip


@pytest.mark.parametrize("bad", [*SLURM, *CHECK, *DEMO, *CACHE], ids=str)
def test_is_refused_in_one_message(bad: Bad, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    bad.check(cxrlt, tmp_path, golden)


@pytest.mark.parametrize(
    "values", [("x", "0", "4"), ("5", "0", "4"), ("0", "1", "4"), ("0", "", "4"), ("0", "0", "-4"), ("0", "0", "4.5")]
)
def test_a_job_array_that_cannot_be(
    values: tuple[str, str, str], cxrlt: Run, golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in zip(("ID", "MIN", "COUNT"), values, strict=True):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    Bad("slurm", "cache --source table=x.csv --label-columns Mass --shard slurm", "--shard").check(cxrlt, tmp_path, golden)
