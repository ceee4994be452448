"""`cxrlt train` as a command: a small network through the real loop, and what it leaves on disk."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CLASSES, TRAIN, Run, start, wait_for

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.predictions import read_predictions
from cxrlt_cli.artifacts.run import read_checkpoint
from cxrlt_cli.metrics.ranking import per_class

FILES = ["best.pt", "config.json", "history.jsonl", "last.pt", "log.txt", "status.json", "validation.parquet"]


def _train(cxrlt: Run, *more: object) -> None:
    ended = cxrlt(*TRAIN, *more)
    assert ended.code == 0, ended.err


def _history(run: Path) -> list[dict[str, Any]]:
    """Without how fast it went, which no two runs share."""
    epochs = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    for epoch in epochs:
        assert set(epoch.pop("speed")) == {"images_per_s", "waiting", "memory_GB"}
    return epochs


def _weights(run: Path, which: str = "last.pt") -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = read_checkpoint(run / which, ["model"])["model"]
    return weights


def _same(first: Path, second: Path) -> bool:
    a, b = (read_checkpoint(run / "last.pt", ["model"]) for run in (first, second))
    pairs = [(a[key], b[key]) for key in ("model", "average") if key in a or key in b]
    return all(one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one) for one, other in pairs)


def test_what_a_run_leaves(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    _train(cxrlt)
    run = tmp_path / "runs/tiny_net"
    assert sorted(path.name for path in run.iterdir()) == FILES
    history = _history(run)
    assert [epoch["epoch"] for epoch in history] == [1, 2]
    assert set(history[0]["ap"]) == set(CLASSES)
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "done"
    best = max(history, key=lambda epoch: epoch["mAP"])
    assert status["best_mAP"] == best["mAP"]
    assert read_checkpoint(run / "best.pt", ["classes"])["classes"] == CLASSES
    config = json.loads((run / "config.json").read_text())
    assert config["options"]["epochs"] == 2
    assert config["class_weights"] == dict.fromkeys(CLASSES, 1.0)
    assert [Path(entry["path"]).name for entry in config["provenance"]["inputs"]] == [
        "dataset.parquet",
        "label_embeddings.parquet",
    ]

    validation = read_predictions(run / "validation.parquet")
    val = read_dataset(dataset).split("val")
    assert validation.image_ids == val.table["image_id"].tolist()
    found = per_class(validation.logits, val.targets, val.label_mask).ap
    assert np.allclose(found, [best["ap"][name] for name in CLASSES])


def test_it_learns(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    _train(cxrlt, "--epochs", "12", "--augment", "none")
    history = _history(tmp_path / "runs/tiny_net")
    val = read_dataset(dataset).split("val")
    assert max(epoch["mAP"] for epoch in history) > 2 * val.targets.mean()
    assert history[-1]["train_loss"] < 0.75 * history[0]["train_loss"]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    for name, more in (("a", []), ("b", []), ("c", ["--seed", "1"])):
        _train(cxrlt, "--epochs", "1", "--mixup", "0.4", "--name", name, *more)
    assert _same(tmp_path / "runs/a", tmp_path / "runs/b")
    assert not _same(tmp_path / "runs/a", tmp_path / "runs/c")


def test_tricks_that_are_off_leave_the_base_bit_equal(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    _train(cxrlt, "--epochs", "1", "--name", "base")
    _train(cxrlt, "--epochs", "1", "--name", "off", "--mixup", "0", "--reweight", "Hernia:1")
    _train(cxrlt, "--epochs", "1", "--name", "on", "--reweight", "Hernia:2")
    assert _same(tmp_path / "runs/base", tmp_path / "runs/off")
    assert not _same(tmp_path / "runs/base", tmp_path / "runs/on")


@pytest.mark.parametrize("encoder", ["resnet50", "densenet121"])
def test_the_papers_encoders_train(encoder: str, cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    _train(cxrlt, "--encoder", encoder, "--epochs", "1", "--mixup", "1.0")
    assert np.isfinite(_history(tmp_path / "runs" / encoder)[0]["train_loss"])


def test_bf16(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    _train(cxrlt, "--precision", "bf16", "--epochs", "1")
    assert all(weight.dtype != torch.bfloat16 for weight in _weights(tmp_path / "runs/tiny_net").values())


def test_hard_classes_come_from_the_newest_finished_run(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    ended = cxrlt(*TRAIN, "--reweight", "hard2:3")
    assert ended.code == 2
    assert "has no finished run" in ended.err
    assert "--hard-from" in ended.err
    assert not (tmp_path / "runs").exists()

    _train(cxrlt, "--name", "first")
    _train(cxrlt, "--reweight", "hard2:3")
    first = _history(tmp_path / "runs/first")
    best = max(first, key=lambda epoch: epoch["mAP"])
    hard = sorted(CLASSES, key=lambda name: best["ap"][name])[:2]
    config = json.loads((tmp_path / "runs/tiny_net-hard2x3/config.json").read_text())
    assert config["hard_classes"] == hard
    assert config["class_weights"] == {name: 3.0 if name in hard else 1.0 for name in CLASSES}


def test_hard_classes_of_a_test_evaluation_are_refused(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    _train(cxrlt, "--epochs", "1", "--name", "first")
    for split in ("test", "val"):
        assert cxrlt("predict", "--split", split, "--name", split).code == 0
        assert cxrlt("evaluate", split, "--bootstrap", "20").code == 0
    ended = cxrlt(*TRAIN, "--reweight", "hard1:2", "--hard-from", tmp_path / "evaluations/test")
    assert ended.code == 2
    assert "was scored on the test split" in ended.err
    _train(cxrlt, "--epochs", "1", "--reweight", "hard1:2", "--hard-from", tmp_path / "evaluations/val")


TRICKS = ["--average", "ema:0.9", "--cutmix", "1", "--sampling", "class-balanced", "--loss", "ldam", "--reweight", "tail:2"]


@pytest.mark.parametrize(
    ("sent", "code", "more"),
    [
        (signal.SIGKILL, -9, ["--save-every", "1"]),
        (signal.SIGTERM, 143, [*TRICKS, "--reweight-from", "0.5"]),
        (signal.SIGUSR1, 75, ["--average", "swa:0.5", "--mosaic", "0.5"]),
    ],
)
def test_stopped_at_any_moment_and_resumed_it_ends_bit_equal(
    sent: signal.Signals, code: int, more: list[str], cxrlt: Run, dataset: Path, tmp_path: Path
) -> None:
    command = [*TRAIN, "--epochs", "5", "--mixup", "0.4", *more]
    _train(cxrlt, *command[len(TRAIN) :], "--name", "undisturbed")
    process = start(*command, "--name", "stopped", cwd=tmp_path)
    wait_for(tmp_path / "runs/stopped/last.pt")
    process.send_signal(sent)
    _, err = process.communicate(timeout=200)
    assert process.returncode == code, err
    state = json.loads((tmp_path / "runs/stopped/status.json").read_text())["state"]
    assert state == ("running" if sent == signal.SIGKILL else "stopped")
    _train(cxrlt, *command[len(TRAIN) :], "--name", "stopped", "--resume")
    assert _same(tmp_path / "runs/undisturbed", tmp_path / "runs/stopped")
    assert _history(tmp_path / "runs/undisturbed") == _history(tmp_path / "runs/stopped")
    expected, found = (read_predictions(tmp_path / f"runs/{name}/validation.parquet") for name in ("undisturbed", "stopped"))
    assert (expected.logits == found.logits).all()


def test_resume_refuses_what_would_change_the_result(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    ended = cxrlt(*TRAIN, "--epochs", "1", "--name", "a", "--resume")
    assert ended.code == 0, ended.err
    ended = cxrlt(*TRAIN, "--epochs", "1", "--name", "a", "--resume", "--lr", "0.5", "--mixup", "1")
    assert ended.code == 2
    assert "--mixup was 0.0, is 1.0" in ended.err
    assert "--lr was 0.001, is 0.5" in ended.err
    assert cxrlt(*TRAIN, "--epochs", "1", "--name", "a", "--resume").code == 0
    assert cxrlt("merge", "--label-space", tmp_path / "classes.txt", "--seed", "5", "--overwrite").code == 0
    ended = cxrlt(*TRAIN, "--epochs", "1", "--name", "a", "--resume")
    assert ended.code == 2
    assert "was started with a different dataset.parquet" in ended.err


def test_an_existing_run_is_refused_or_overwritten(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    _train(cxrlt, "--epochs", "1")
    before = (tmp_path / "runs/tiny_net/best.pt").read_bytes()
    ended = cxrlt(*TRAIN, "--epochs", "1")
    assert ended.code == 2
    assert "--overwrite" in ended.err
    assert (tmp_path / "runs/tiny_net/best.pt").read_bytes() == before
    _train(cxrlt, "--epochs", "2", "--overwrite")
    assert len(_history(tmp_path / "runs/tiny_net")) == 2


def test_a_run_that_diverges_fails_with_the_images_named(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    ended = cxrlt(*TRAIN, "--lr", "1e30", "--batch-size", "2", "--warmup", "0")
    assert ended.code == 2
    assert "the loss is nan at step " in ended.err
    assert ended.err.count(": skipped") == 19, "each is told of, and the twentieth in a row ends the run"
    assert "and in the 19 steps before it" in ended.err
    assert "images i0" in ended.err
    assert json.loads((tmp_path / "runs/tiny_net/status.json").read_text())["state"] == "failed"
    ended = cxrlt(*TRAIN, "--lr", "1e30", "--batch-size", "64", "--name", "one-step")  # it shows in validation first
    assert ended.code == 2
    assert "validation scores are not finite: i0" in ended.err
    assert json.loads((tmp_path / "runs/one-step/status.json").read_text())["state"] == "failed"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--epochs", "0"], "--epochs 0"),
        (["--lr", "0"], "--lr 0"),
        (["--seed", "-1"], "--seed -1"),
        (["--lr", "inf"], "--lr inf"),
        (["--mixup", "nan"], "--mixup"),
        (["--mixup", "-1"], "--mixup"),
        (["--decoder-width", "30", "--decoder-heads", "4"], "--decoder-width 30"),
        (["--weights", "none.pth"], "none.pth"),
        (["--reweight", "Hernai:2"], "nearest is 'Hernia'"),
        (["--device", "cuda"], "no GPU"),
        (["--dataset", "none.parquet"], "none.parquet is not there"),
        (["--embeddings", "none.parquet"], "none.parquet is not there"),
        (["--save-every", "soon"], "--save-every 'soon'"),
        (["--rank-timeout", "0"], "--rank-timeout 0"),
        (["--name", "a/b"], "cannot be an artifact's name"),
    ],
)
def test_wrong_usage_leaves_no_run(arguments: list[str], says: str, cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    ended = cxrlt(*TRAIN, *arguments)
    assert ended.code == 2
    assert says in ended.err
    assert not (tmp_path / "runs").exists()


def test_embeddings_of_other_labels_name_the_command(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("Mass\nNodule\n")
    assert cxrlt("embed-labels", "--encoder", "ngram", "--label-space", tmp_path / "other.txt", "--overwrite").code == 0
    ended = cxrlt(*TRAIN)
    assert ended.code == 2
    assert "no embedding for Cardiomegaly, Effusion, Hernia" in ended.err
    assert "cxrlt embed-labels --label-space dataset" in ended.err


def test_a_harmed_image_file_is_refused_before_a_run_is_made(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    content = (tmp_path / "images/pictures.h5").read_bytes()
    (tmp_path / "images/pictures.h5").write_bytes(content[: len(content) // 2])
    ended = cxrlt(*TRAIN)
    assert ended.code == 2
    assert "pictures.h5" in ended.err
    assert not (tmp_path / "runs").exists()


def test_an_overwritten_run_is_kept_until_there_is_a_new_checkpoint(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    _train(cxrlt, "--epochs", "1")
    folder = tmp_path / "runs/tiny_net"
    (folder / "notes.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    ended = cxrlt(*TRAIN, "--lr", "1e30", "--overwrite")
    assert ended.code == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    process = start(*TRAIN, "--epochs", "300", "--overwrite", cwd=tmp_path)
    end = time.monotonic() + 200
    while not (folder / ".replaced").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    process.communicate()
    if not (folder / "last.pt").exists():  # else the kill came late
        ended = cxrlt(*TRAIN, "--lr", "1e30", "--overwrite")
        assert ended.code == 2
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    _train(cxrlt, "--epochs", "2", "--overwrite")
    assert len(_history(folder)) == 2
    assert (folder / "notes.txt").read_text() == "mine"
    assert not (folder / ".replaced").exists()


def test_classifiers_are_trained_again_on_a_frozen_encoder(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    _train(cxrlt, "--epochs", "1", "--name", "first")
    again = ["--weights", tmp_path / "runs/first", "--freeze", "encoder", "--sampling", "class-balanced", "--classifier", "mlp"]
    ended = cxrlt(*TRAIN, "--epochs", "1", "--name", "second", *again)
    assert ended.code == 0, ended.err
    assert "start at random: classifier" in ended.err
    first, second = _weights(tmp_path / "runs/first", "best.pt"), _weights(tmp_path / "runs/second")
    encoder = [key for key in first if key.startswith("encoder.")]
    assert all(torch.equal(first[key], second[key]) for key in encoder), "batch-norm statistics too"
    assert not torch.equal(first["decoder.layers.0.asked.weight"], second["decoder.layers.0.asked.weight"])


@pytest.mark.parametrize("more", [["--batch-size", "1"], ["--batch-size", "16", "--accumulate", "16"]], ids=["batch", "parts"])
def test_one_image_a_pass_before_a_batch_norm_is_refused_before_training(
    more: list[str], cxrlt: Run, dataset: Path, tmp_path: Path
) -> None:
    ended = cxrlt(*TRAIN, "--encoder", "timm:tiny_net", *more)
    assert ended.code == 2
    assert "a batch norm gets a single value" in ended.err
    assert "--batch-size" in ended.err
    assert not (tmp_path / "runs").exists()
