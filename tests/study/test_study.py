"""`cxrlt study` as a command: what it trains, shares, leaves on disk, and how it goes on."""

import csv
import json
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import TRAIN, Run, start
from forked_python import use_forked_python

from cxrlt_cli.artifacts.embeddings import LabelEmbeddings
from cxrlt_cli.study.plan import Given
from cxrlt_cli.study.start import write_given
from cxrlt_cli.text.label_texts import read_label_texts
from cxrlt_cli.workspace import Workspace

FLAGS = " ".join(TRAIN[1:]).replace("--epochs 2", "--epochs 1")
FILES = {"per_class.csv", "study.json", "table.csv"}
OWN = """
asks = "Is one classifier enough?"
[variants]
separate = {}
shared = { train = ["--classifier=shared"] }
"of a magic text" = { embed = ["--encoder=no-such-folder"] }
"""


def _study(folder: Path) -> list[str]:
    (folder / "own.toml").write_text(OWN)
    return ["study", "own.toml", "--seeds", "1", "--train", FLAGS, "--resamples", "100"]


@pytest.mark.usefixtures("forked")
def test_a_study_leaves_a_table_and_figures_and_is_not_run_again(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    command = _study(tmp_path)
    ended = cxrlt(*command, "--shard", "1/2")
    assert ended.code == 0, ended.err
    assert "part 1 of 2 is done" in ended.err
    assert not (tmp_path / "studies/own").exists()
    ended = cxrlt(*command)
    assert ended.code == 0, ended.err
    assert "Is one classifier enough?" in ended.out
    assert "'of a magic text' is left out" in ended.err
    folder = tmp_path / "studies/own"
    assert sorted(path.name for path in folder.iterdir()) == [
        "figure.png",
        "figure.svg",
        "per_class.csv",
        "study.json",
        "table.csv",
    ]
    assert len(list((tmp_path / "studies/runs").iterdir())) == 2
    content = json.loads((folder / "study.json").read_text())
    assert list(content["variants"]) == ["separate", "shared"]
    assert content["variants"]["shared"]["train"] == ["--classifier=shared"]
    assert content["variants"]["shared"]["training"]["minutes"] > 0
    assert content["variants"]["separate"]["training"]["weights"] > content["variants"]["shared"]["training"]["weights"] > 1000
    assert "no-such-folder" in content["left_out"]["of a magic text"]
    with (folder / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["variant"] == "separate"
    assert rows[0]["difference"] == ""
    assert float(rows[1]["difference_low"]) <= float(rows[1]["difference_high"])

    began = time.monotonic()
    again = cxrlt(*command, "--json")
    assert json.loads(again.out)["means"] == content["means"]
    assert time.monotonic() - began < 20  # nothing but the missing encoder is tried again
    ended = cxrlt(*command[:-2], "--resamples", "100", "--split", "val")
    assert ended.code == 2
    assert "holds a study of other variants" in ended.err


def test_a_study_that_is_stopped_goes_on(cxrlt: Run, dataset: Path, python: Path, tmp_path: Path) -> None:
    command = [part.replace("--epochs 1", "--epochs 40") for part in _study(tmp_path)]
    process = start(*command, cwd=tmp_path, first=partial(use_forked_python, python))
    end = time.monotonic() + 200
    while not list(tmp_path.glob("studies/runs/*/last.pt")):
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=90)
    assert process.returncode == 143, err
    assert "the same command continues" in err
    (status,) = tmp_path.glob("studies/runs/*/status.json")
    assert json.loads(status.read_text())["state"] == "stopped"


@pytest.mark.usefixtures("forked")
def test_a_command_that_fails_is_named_with_its_last_words(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    ended = cxrlt("study", "classifier", "--seeds", "1", "--train", f"{FLAGS} --lr 1e30")
    assert ended.code == 2
    assert "commands failed" in ended.err
    assert "lower --lr" in ended.err
    assert not (tmp_path / "studies/classifier").exists()


@pytest.mark.parametrize("arguments", [["clasifier"], ["none.toml"], []])
def test_what_is_no_study(arguments: list[str], cxrlt: Run, dataset: Path) -> None:
    assert cxrlt("study", *arguments).code == 2


def test_a_study_of_unseen_classes_needs_some(cxrlt: Run, dataset: Path) -> None:
    ended = cxrlt("study", "unseen", "--train", FLAGS)
    assert ended.code == 2
    assert "the study unseen needs classes that are not trained" in ended.err
    assert "cxrlt merge --hold-out" in ended.err


@pytest.mark.usefixtures("forked")
def test_a_study_of_unseen_classes(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    merge = ["merge", "--label-space", "classes.txt", "--split", "50,25,25", "--hold-out", "Effusion", "--overwrite"]
    assert cxrlt(*merge).code == 0
    variants = 'learned = { train = ["--queries=learned"] }\ntext = { train = ["--classifier=text"] }\n'
    (tmp_path / "own.toml").write_text(f'asks = "Does it carry over?"\nhold-out = true\n[variants]\n{variants}')
    ended = cxrlt("study", "own.toml", "--seeds", "1", "--train", FLAGS, "--resamples", "100", "--permutations", "100")
    assert ended.code == 0, ended.err
    assert "mAP of random scores over the unseen classes" in ended.out
    content = json.loads((tmp_path / "studies/own/study.json").read_text())
    assert content["groups"] == {"Cardiomegaly": "seen", "Effusion": "unseen", "Hernia": "seen"}
    assert [row["variant"] for row in content["harmonic"]] == ["learned", "text"]


def test_texts_of_the_embeddings_are_read_back_as_they_were_encoded(tmp_path: Path) -> None:
    prompts = ['Effusion. Fluid, "blunting" the angle.', "Mass"]
    embeddings = LabelEmbeddings(["Effusion", "A, b"], [[prompt] for prompt in prompts], np.ones((2, 3)), {})
    names, texts, here = tmp_path / "classes.txt", tmp_path / "texts.csv", Workspace(tmp_path)
    write_given(Given(tmp_path, tmp_path, "ngram", names, texts, "", {}, here, here), embeddings.classes, embeddings)
    assert names.read_text() == "Effusion\nA, b\n"
    read = read_label_texts(tmp_path / "texts.csv")
    assert [text.name for text in read] == ["Effusion", "A, b"]
    assert [text.text("prompt") for text in read] == prompts
