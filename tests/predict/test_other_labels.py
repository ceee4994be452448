"""`predict --labels`: labels that a run was not trained on."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import CLASSES, TRAIN, Run, type_in
from shared import copied, made_once

from cxrlt_cli.artifacts.embeddings import read_embeddings
from cxrlt_cli.artifacts.json_files import read_json
from cxrlt_cli.artifacts.predictions import Predictions, read_predictions
from cxrlt_cli.artifacts.run import read_checkpoint, write_checkpoint

TEXTS = "class,prompt,description\nEffusion,pleural effusion,Fluid in the chest.\nWater,water,Some water.\n"


@pytest.fixture(scope="session")
def made_text_runs(made_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of `text_runs`, to be copied."""

    def make(folder: Path) -> None:
        copied(made_dataset, folder)
        merge = [
            "merge",
            "--label-space",
            folder / "classes.txt",
            "--split",
            "50,25,25",
            "--hold-out",
            "Effusion",
            "--overwrite",
        ]
        train = [*TRAIN, "--epochs", "1", "--lr", "2e-3"]
        type_in(folder, [merge, [*train, "--classifier", "text", "--name", "text"], [*train, "--name", "separate"]])

    return made_once(tmp_path_factory, "text-runs", make)


@pytest.fixture
def text_runs(made_text_runs: Path, tmp_path: Path) -> Path:
    """Runs `text` and `separate`, trained without labels of Effusion; the workspace."""
    return copied(made_text_runs, tmp_path)


def _predicted(cxrlt: Run, folder: Path, name: str, texts: str | None, *flags: object) -> Predictions:
    if texts is not None:
        (folder / "labels.csv").write_text(texts)
        flags = (*flags, "--labels", "labels.csv")
    ended = cxrlt("predict", "text", "--name", name, *flags)
    assert ended.code == 0, ended.err
    return read_predictions(folder / f"predictions/{name}.parquet")


def test_adding_and_removing_labels_leaves_every_other_score_bit_equal(cxrlt: Run, text_runs: Path) -> None:
    whole = _predicted(cxrlt, text_runs, "whole", TEXTS + "Air,air in the chest,Black air.\n")
    fewer = _predicted(cxrlt, text_runs, "fewer", TEXTS)
    assert (whole.classes, fewer.classes) == (["Effusion", "Water", "Air"], ["Effusion", "Water"])
    assert np.array_equal(whole.logits[:, :2], fewer.logits)
    assert np.ptp(whole.logits, axis=1).min() > 0
    assert whole.header.provenance.inputs[1].path.endswith("labels.csv")


def test_a_text_of_the_run_scores_as_in_the_run(cxrlt: Run, text_runs: Path) -> None:
    trained = _predicted(cxrlt, text_runs, "trained", None)
    assert trained.classes == CLASSES
    kept = read_json(text_runs / "runs/text/config.json")["label_texts"]
    assert kept["held_out"] == ["Effusion"]
    assert kept["encoder"]["name"] == "ngram"
    assert kept["encoder"]["text"] == "both"
    prompt, _, description = kept["prompts"]["Hernia"][0].partition(". ")
    found = _predicted(
        cxrlt, text_runs, "again", f'class,prompt,description\nSame,{prompt},"{description}"\nWater,water,Water.\n'
    )
    assert np.array_equal(found.logits[:, 0], trained.logits[:, CLASSES.index("Hernia")])


def test_the_text_kept_in_the_run_counts_and_not_the_current_embeddings(cxrlt: Run, text_runs: Path) -> None:
    (text_runs / "label_embeddings.parquet").unlink()
    two = "class,prompt\nWater,water\nWater,some water\nAir,air\n"
    found = _predicted(cxrlt, text_runs, "two", two)
    one = _predicted(cxrlt, text_runs, "one", "class,prompt\nWater,water\nAir,air\n")
    assert np.array_equal(found.logits[:, 1], one.logits[:, 1])
    assert not np.array_equal(found.logits[:, 0], one.logits[:, 0])


def test_images_of_a_folder_and_a_submission(cxrlt: Run, text_runs: Path) -> None:
    (text_runs / "few").mkdir()
    for name in sorted((text_runs / "source/pictures").iterdir())[:3]:
        shutil.copy(name, text_runs / "few")
    found = _predicted(cxrlt, text_runs, "folder", TEXTS, "--images", "few", "--submission", "s.csv")
    assert found.logits.shape == (3, 2)
    assert (text_runs / "s.csv").read_text().startswith("dicom_id,Effusion,Water\n")


def test_the_held_out_class_is_scored_and_evaluated(cxrlt: Run, text_runs: Path) -> None:
    assert cxrlt("predict", "text", "--name", "p").code == 0
    ended = cxrlt("evaluate", "p", "--bootstrap", "100")
    assert ended.code == 0, ended.err
    assert "harmonic mean of both" in ended.out
    content = read_json(text_runs / "evaluations/p/metrics.json")
    both = content["seen_unseen"]
    row = {entry["class"]: entry for entry in content["per_class"]}
    assert row["Effusion"]["group"] == "unseen"
    assert both["unseen"]["mAP"] == pytest.approx(row["Effusion"]["ap"])
    seen = (row["Cardiomegaly"]["auroc"] + row["Hernia"]["auroc"]) / 2
    assert both["seen"]["mean_auroc"] == pytest.approx(seen)
    unseen = row["Effusion"]["auroc"]
    assert both["harmonic"]["mean_auroc"] == pytest.approx(2 * seen * unseen / (seen + unseen))
    assert both["harmonic"]["mAP_low"] < both["harmonic"]["mAP_high"]


def test_validation_leaves_the_held_out_class_out(text_runs: Path) -> None:
    history = (text_runs / "runs/text/history.jsonl").read_text()
    assert '"Effusion": null' in history
    assert '"Hernia": null' not in history


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ("class,prompt\nA,water\nB,water\n", "same text for different labels, which would get the same scores: A = B"),
        ("class,prompt\nA,water\nA,water\n", "lists the same text of A twice"),
        ("class,prompt\nA,\n", "line 2: an empty cell"),
        ("class,text\nA,water\n", "no column prompt"),
        ("class,prompt\n", "has no rows"),
    ],
)
def test_bad_files_of_labels(texts: str, says: str, cxrlt: Run, text_runs: Path) -> None:
    (text_runs / "labels.csv").write_text(texts)
    ended = cxrlt("predict", "text", "--labels", "labels.csv")
    assert ended.code == 2
    assert says in ended.err
    assert not list((text_runs / "predictions").glob("*"))


def test_separate_classifiers_cannot_score_other_labels(cxrlt: Run, text_runs: Path) -> None:
    (text_runs / "labels.csv").write_text(TEXTS)
    ended = cxrlt("predict", "separate", "--labels", "labels.csv")
    assert ended.code == 2
    assert "--classifier separate, which knows the trained labels only" in ended.err
    assert "train with --classifier text" in ended.err


def test_another_text_encoder_would_be_needed(cxrlt: Run, text_runs: Path) -> None:
    (text_runs / "labels.csv").write_text(TEXTS)
    best = text_runs / "runs/text/best.pt"
    content = read_checkpoint(best, ["described"])
    encoder = content["described"]["label_texts"]["encoder"]
    for changed, says in (
        ({"sha256": "0"}, "ngram differs in sha256"),
        ({"name": "elsewhere"}, "'elsewhere' is not on this machine"),
    ):
        content["described"]["label_texts"]["encoder"] = encoder | changed
        write_checkpoint(best, {key: value for key, value in content.items() if key not in ("format", "version")})
        ended = cxrlt("predict", "text", "--labels", "labels.csv")
        assert ended.code == 2
        assert says in ended.err


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--queries", "learned"], "--queries learned leaves the text"),
        (["--queries", "none"], "--queries none has no decoder to choose"),
        (["--decoder-layers", "2"], "--classifier text needs --label-attention off"),
        (["--decoder", "transformer"], "a label's score depends on which other labels are scored"),
    ],
)
def test_what_a_classifier_of_texts_excludes(flags: list[str], says: str, cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt("train", "--classifier", "text", *flags)
    assert ended.code == 2
    assert says in " ".join(ended.err.split())


def test_the_checkpoint_shares_one_copy_of_the_texts(text_runs: Path) -> None:
    model = read_checkpoint(text_runs / "runs/text/best.pt", ["model"])["model"]
    assert torch.equal(model["decoder.queries.queries"], model["classifier.queries.queries"])


def test_the_texts_of_a_run_that_gave_the_first_weights_are_not_taken(cxrlt: Run, text_runs: Path) -> None:
    (text_runs / "texts.csv").write_text("class,prompt\nCardiomegaly,a\nEffusion,some water\nHernia,gut\n")
    embed = ["embed-labels", "--encoder", "ngram", "--texts", "texts.csv", "--label-space", "classes.txt", "--overwrite"]
    assert cxrlt(*embed).code == 0
    ended = cxrlt(*TRAIN, "--epochs", "1", "--classifier", "text", "--weights", "runs/text", "--name", "second")
    assert ended.code == 0, ended.err
    assert "0 start at random" in ended.err
    model = read_checkpoint(text_runs / "runs/second/best.pt", ["model"])["model"]
    vectors = read_embeddings(text_runs / "label_embeddings.parquet").vectors
    assert np.array_equal(model["decoder.queries.queries"].numpy(), vectors)
