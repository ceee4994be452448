"""What users give to `train`, `fuse` and `bench`: options, weights, datasets. Each is refused in one message."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import tiny_encoder  # noqa: F401 - the runs of the golden workspace are of this network
import torch
from bad_input import Bad, Content, Run, of_stage
from torch import nn

from cxrlt_cli.artifacts.embeddings import LabelEmbeddings, write_embeddings

SMALL = "--encoder timm:tiny_golden --name new --device cpu --epochs 1 --decoder-width 8 --decoder-heads 2"


class Ran(Exception):
    """The code of a weights file ran."""


class Harmful:
    """Would raise `Ran` when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return _run, ("code",)


def _run(text: str) -> None:
    raise Ran(text)


def state(change: object = None, **others: object) -> Content:
    """The weights of the small network, changed."""
    whole = {"first.weight": torch.zeros(4, 1, 3, 3), "first.bias": torch.zeros(4), "second.weight": torch.zeros(8, 4, 3, 3),
             "second.bias": torch.zeros(8), "norm.weight": torch.ones(4), "norm.bias": torch.zeros(4),
             "norm.running_mean": torch.zeros(4), "norm.running_var": torch.ones(4)}  # fmt: skip
    changed = {**whole, **{key.replace("_", ".", 1): value for key, value in others.items()}}
    return lambda path: torch.save(changed if change is None else change, path)


def weights(name: str, content: Content, says: str) -> tuple[str, str, str, dict[str, Content]]:
    return f"weights {name}", f"{SMALL} --weights w.pt", says, {"w.pt": content}


def cut(path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


def options(**values: str) -> list[tuple[str, str, str]]:
    """Cases of one flag each: its bad values, separated by blanks."""
    return [
        (f"--{name.replace('_', '-')} {value}", f"{SMALL} --{name.replace('_', '-')} {value}", f"--{name.replace('_', '-')}")
        for name, given in values.items()
        for value in given.split(" ")
    ]


def vectors(classes: list[str]) -> Content:
    one = np.ones((len(classes), 8), np.float32)
    return lambda path: write_embeddings(path, LabelEmbeddings(classes, classes, one, {"name": "x"}), {})


TRAIN = of_stage("train", [
    *options(
        epochs="0 -1 1.5 x nan", batch_size="0 -3 1e3", lr="0 -1 nan inf 1e400 x", encoder_lr="0 nan",
              weight_decay="-1 nan inf",
        warmup="1 -0.1 nan", mixup="-1 nan inf", cutmix="-1", mosaic="2", blur="1", noise="nan", erasing="-1",
        label_smoothing="1 -1 nan", logit_adjustment="inf -1", drop_path="1", layer_decay="0 2 nan", decoder_dropout="1",
        decoder_layers="0 101", decoder_heads="0 3", decoder_width="0", accumulate="-1", rank_timeout="0 nan", seed="-1 x",
        save_every="x -1 1h", average="emma ema:2 swa:nan", sampling="repaet-factor repeat-factor:0 repeat-factor:nan",
        loss="bec focal:nan focal:-1 focal:0.5 asl:1 asl:1/2/3 bce:1 ldam:0/1",
              reweight="Mass Mass:-1 Mass:nan hard0:2 effective:1 @",
        source_weight="clinic clinic=nan clinic=-1", stride="64 0", precision="fp8", classifier="linear", queries="tetx",
        freeze="all",
    ),
    ("a network that is misspelled", "--encoder resnet5 --name new", "resnet5"),
    ("a timm network that is misspelled", "--encoder timm:tiny_goldn --name new", "tiny_goldn"),
    ("a network with a path", "--encoder ../resnet50 --name new", "resnet50"),
    ("an empty network", "--encoder '' --name new", "--encoder has an empty value"),
    ("an empty rate", f"{SMALL} --lr=", "--lr has an empty value"),
    ("a name with a path", f"{SMALL} --name a/b", "cannot be an artifact's name"),
    ("a name that leaves the folder", f"{SMALL} --name ..", "cannot be an artifact's name"),
    ("a run that exists", f"{SMALL} --name whole", "exists"),
    ("--resume of another run", f"{SMALL} --name stopped --resume", "was started with different options"),
    ("--resume and --overwrite", f"{SMALL} --resume --overwrite", "exclude each other"),
    ("--hard-from without its use", f"{SMALL} --hard-from whole", "--hard-from"),
    ("--hard-from of nothing", f"{SMALL} --reweight hard1:2 --hard-from gone", "gone"),
    ("--reweight of an unknown class", f"{SMALL} --reweight Herna:2", "Herna"),
    ("--reweight beyond all numbers", f"{SMALL} --reweight Mass:1e200,Mass:1e200", "--reweight"),
    ("--source-weight of an unknown source", f"{SMALL} --source-weight clinc=2", "clinc"),
    ("--source-weight of nothing", f"{SMALL} --source-weight clinic=0", "leaves no image to draw"),
    ("a flag that is misspelled", f"{SMALL} --epohcs 3", "--epochs"),
    ("a word too many", f"{SMALL} dataset.parquet", "unexpected extra argument"),
    ("a dataset that is not there", f"{SMALL} --dataset gone.parquet", "gone.parquet is not there"),
    ("a dataset that is a folder", f"{SMALL} --dataset images", "images"),
    ("a dataset that is a CSV", f"{SMALL} --dataset x.csv", "x.csv", {"x.csv": "image_id,Mass\na,1\n"}),
    ("a dataset that is empty", f"{SMALL} --dataset x.parquet", "x.parquet", {"x.parquet": ""}),
    ("a dataset that is a pipe", f"{SMALL} --dataset x.parquet", "x.parquet", {"x.parquet": os.mkfifo}),
    ("a dataset that is a link to itself", f"{SMALL} --dataset x", "x", {"x": lambda path: path.symlink_to("x")}),
    ("embeddings that are not there", f"{SMALL} --embeddings gone.parquet", "gone.parquet is not there"),
    ("embeddings of other classes", f"{SMALL} --embeddings e.parquet", "e.parquet", {"e.parquet": vectors(["Hernia", "Mass"])}),
    ("weights that are not there", f"{SMALL} --weights gone.pt", "gone.pt cannot be read as weights"),
    ("weights of a run that is not there", f"{SMALL} --weights runs/gone", "gone"),
    ("weights that are misspelled", f"{SMALL} --weights imgenet", "imgenet"),
    ("weights of ImageNet for a network without", f"{SMALL} --weights imagenet", "tiny_golden"),
    ("nothing to freeze", f"{SMALL} --weights none --freeze encoder", "--freeze encoder"),
    weights("empty", "", "w.pt cannot be read as weights"),
    weights("a folder without a run", None, "w.pt"),
    weights("a pipe", os.mkfifo, "w.pt is a pipe"),
    weights("text", "no weights", "w.pt cannot be read as weights"),
    weights("cut short", cut, "w.pt cannot be read as weights"),
    weights("with code", lambda path: torch.save({"first.weight": Harmful()}, path), "w.pt cannot be read as weights"),
    weights("a pickle with code", lambda path: path.write_bytes(pickle.dumps(Harmful())), "w.pt cannot be read as weights"),
    weights("a whole network", lambda path: torch.save(nn.Linear(2, 2), path), "w.pt cannot be read as weights"),
    weights("a list", state([1, 2]), "is not a state dict"),
    weights("a tensor", state(torch.zeros(3)), "is not a state dict"),
    weights("numbered", state({0: torch.zeros(3)}), "is not a state dict"),
    weights("of nothing", state({}), "a different network"),
    weights("of another network", state({"conv1.weight": torch.zeros(64, 3, 7, 7)}), "a different network"),
    weights("of other shapes", state(first_weight=torch.zeros(4, 2, 3, 3)), "a different network"),
    weights("not finite", state(first_bias=torch.full((4,), torch.nan)), "not finite"),
    weights("beyond all numbers", state(second_bias=torch.full((8,), torch.inf)), "not finite"),
    weights("sparse", state(first_bias=torch.zeros(4).to_sparse()), "a different network"),
    weights("of complex numbers", state(first_bias=torch.zeros(4, dtype=torch.complex64)), "a different network"),
    weights("an array", lambda path: np.save(path.open("wb"), np.zeros(4)), "w.pt cannot be read as weights"),
    *((f"class weights {name}", f"{SMALL} --reweight @w.csv", says, {"w.csv": content}) for name, content, says in (
        ("empty", "", "no columns class and weight"), ("of text", "class,weight\nMass,heavy\n", "w.csv"),
        ("not finite", "class,weight\nMass,1e400\n", "w.csv"), ("negative", "class,weight\nMass,-1\n", "w.csv"),
        ("twice", "class,weight\nMass,1\nMass,2\n", "w.csv"), ("of an unknown class", "class,weight\nMaas,1\n", "Maas"),
        ("in UTF-16", "class,weight\nMass,1\n".encode("utf-16"), "w.csv"), ("a folder", None, "w.csv"), ("a pipe", os.mkfifo,
              "w.csv"),
        ("with semicolons", "class;weight\nMass;1\n", "no columns"), ("of nothing but 0",
              "class,weight\nMass,0\nEffusion,0\nNodule,0\n", "0"),
    )),
    ("class weights that are not there", f"{SMALL} --reweight @gone.csv", "gone.csv"),
])  # fmt: skip

FUSE = of_stage(
    "fuse",
    [
        ("a run that is not there", "whoel", "nearest is 'whole'"),
        ("a run that is fused already", "fused --name new", "fused"),
        ("no epochs", "whole --name new --epochs 0", "--epochs"),
        ("a rate of nan", "whole --name new --lr nan", "--lr"),
        ("a batch of nothing", "whole --name new --batch-size 0", "--batch-size"),
        ("a name with a path", "whole --name a/b", "cannot be an artifact's name"),
        ("a run that exists", "whole --name stopped", "exists"),
        ("a dataset that is not there", "whole --name new --dataset gone.parquet", "gone.parquet"),
        ("predictions in place of a run", "predictions/whole.parquet --name new", "is no run"),
    ],
)

BENCH = of_stage(
    "bench",
    [
        ("images of nothing", "--size 0", "--size"),
        ("images larger than memory", "--size 1000000", "--size"),
        ("no classes", "--classes 0", "--classes"),
        ("no images", "--images -1", "--images"),
        ("no end", "--seconds inf", "--seconds"),
        ("seconds of nan", "--seconds nan", "--seconds"),
        ("a network that is misspelled", "--encoder resnet5", "resnet5"),
        ("a device that is misspelled", "--device gpu", "gpu"),
        ("a flag that is misspelled", "--secnods 3", "--seconds"),
    ],
)


@pytest.mark.parametrize("bad", [*TRAIN, *FUSE, *BENCH], ids=str)
def test_is_refused_in_one_message(bad: Bad, cxrlt: Run, golden: Path, tmp_path: Path) -> None:
    bad.check(cxrlt, tmp_path, golden)
