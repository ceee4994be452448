"""`cxrlt predict` as a command."""

import errno
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import CLASSES, TRAIN, Run, type_in
from shared import copied, made_once

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.files import fingerprint
from cxrlt_cli.artifacts.predictions import read_predictions
from cxrlt_cli.errors import UserError
from cxrlt_cli.predict.batches import Part, score_split
from cxrlt_cli.predict.folder import ListColumns, listed_files
from cxrlt_cli.predict.merge import merge_logits


@pytest.fixture(scope="session")
def made_runs(made_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of `runs`, to be copied."""

    def make(folder: Path) -> None:
        copied(made_dataset, folder)
        type_in(folder, [[*TRAIN, "--epochs", "1", "--name", name, "--seed", seed] for name, seed in (("a", 0), ("b", 1))])

    return made_once(tmp_path_factory, "runs", make)


@pytest.fixture
def runs(made_runs: Path, tmp_path: Path) -> Path:
    """Two finished runs, `a` and `b`; the workspace."""
    return copied(made_runs, tmp_path)


def _logits(workspace: Path, name: str) -> np.ndarray:
    return read_predictions(workspace / f"predictions/{name}.parquet").logits


def test_one_view_of_validation_is_what_training_saw(cxrlt: Run, runs: Path) -> None:
    ended = cxrlt("predict", "a", "--split", "val")
    assert ended.code == 0, ended.err
    seen = read_predictions(runs / "runs/a/validation.parquet")
    found = read_predictions(runs / "predictions/a-val.parquet")
    assert found.image_ids == seen.image_ids
    assert np.allclose(found.logits, seen.logits, atol=1e-5)


def test_the_newest_finished_run_and_the_test_split_are_the_default(cxrlt: Run, runs: Path) -> None:
    assert cxrlt("predict", "--tta", "8", "--merge", "geomean").code == 0
    found = read_predictions(runs / "predictions/b-test-tta8.parquet")
    assert found.image_ids == read_dataset(runs / "dataset.parquet").split("test").table["image_id"].tolist()
    assert found.classes == CLASSES
    assert (found.header.runs, found.header.views, found.header.merge) == (["b"], 8, "geomean")


@pytest.mark.parametrize("merge", ["geomean", "mean"])
def test_an_ensemble_is_the_merge_of_its_members(merge: str, cxrlt: Run, runs: Path) -> None:
    for names in (["a"], ["b"], ["a", "b"]):
        assert cxrlt("predict", *names, "--merge", merge, "--name", "".join(names)).code == 0
    expected = merge_logits(np.stack([_logits(runs, "a"), _logits(runs, "b")]), merge)
    assert np.allclose(_logits(runs, "ab"), expected, atol=1e-5)


def test_views_change_the_scores_and_the_batch_size_does_not(cxrlt: Run, runs: Path) -> None:
    for name, more in (("one", []), ("eight", ["--tta", "8"]), ("small", ["--tta", "8", "--batch-size", "5"])):
        assert cxrlt("predict", "a", "--name", name, *more).code == 0
    assert np.abs(_logits(runs, "eight") - _logits(runs, "one")).max() > 1e-3
    assert np.allclose(_logits(runs, "eight"), _logits(runs, "small"), atol=1e-5)


def test_reduced_precision_moves_scores_little_and_is_written_down(cxrlt: Run, runs: Path) -> None:
    for name in ("fp32", "bf16"):
        assert cxrlt("predict", "a", "--precision", name).code == 0
    full, reduced = _logits(runs, "a-test"), _logits(runs, "a-test-bf16")
    assert 0 < np.abs(full - reduced).max() < 0.05
    assert read_predictions(runs / "predictions/a-test-bf16.parquet").header.precision == "bf16"
    if not torch.cuda.is_available():
        ended = cxrlt("predict", "a", "--precision", "fp16")
        assert ended.code == 2
        assert "--precision fp16 needs a GPU" in ended.err


def test_compiled_networks_see_one_batch_size_and_score_alike(cxrlt: Run, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def compiled(forward: Callable[[torch.Tensor], torch.Tensor], **_: object) -> Callable[[torch.Tensor], torch.Tensor]:
        def call(images: torch.Tensor) -> torch.Tensor:
            sizes.append(len(images))
            return forward(images)

        return call

    assert cxrlt("predict", "a", "--tta", "4", "--name", "plain").code == 0
    monkeypatch.setattr(torch, "compile", compiled)
    assert cxrlt("predict", "a", "--tta", "4", "--batch-size", "10", "--compile", "--name", "compiled").code == 0
    assert set(sizes) == {12}, "four views of three images, also in the last pass"
    assert np.allclose(_logits(runs, "compiled"), _logits(runs, "plain"), atol=1e-5)

    def no_compiler(*_: object, **__: object) -> Callable[[torch.Tensor], torch.Tensor]:
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: no_compiler)
    ended = cxrlt("predict", "a", "--compile", "--name", "failed")
    assert ended.code == 0
    assert "--compile failed (no compiler here); continuing without it" in ended.err


def test_a_folder_of_images_scores_as_the_cache_did(cxrlt: Run, runs: Path) -> None:
    (runs / "source/pictures/broken.png").write_bytes(b"no picture")
    ended = cxrlt("predict", "a", "--images", runs / "source", "--name", "folder")
    assert ended.code == 0, ended.err
    assert "1 images cannot be read" in ended.err
    assert "broken.png" in (runs / "predictions/folder.failed.csv").read_text()
    assert cxrlt("predict", "a", "--split", "train", "--name", "train").code == 0
    folder, split = (read_predictions(runs / f"predictions/{name}.parquet") for name in ("folder", "train"))
    assert len(folder.image_ids) == 96
    row = {name: index for index, name in enumerate(folder.image_ids)}
    rows = [row[f"pictures/{name[1:]}.png"] for name in split.image_ids]
    assert np.allclose(folder.logits[rows], split.logits, atol=1e-5)


def test_a_list_of_images_gives_ids_of_its_own(cxrlt: Run, runs: Path) -> None:
    table = pd.read_csv(runs / "source/labels.csv").rename(columns={"image_id": "dicom_id"})
    table.iloc[[7, 3]].to_csv(runs / "two.csv", index=False)
    assert (
        cxrlt("predict", "a", "--images", runs / "source", "--list", runs / "two.csv", "--submission", runs / "s.csv").code == 0
    )
    assert pd.read_csv(runs / "s.csv")["dicom_id"].tolist() == ["i0007", "i0003"]
    assert read_predictions(runs / "predictions/a-two.parquet").image_ids == ["i0007", "i0003"]
    ended = cxrlt("predict", "a", "--images", runs / "source", "--list", runs / "two.csv", "--id-column", "id", "--name", "x")
    assert ended.code == 2
    assert "has no column id" in ended.err
    assert cxrlt("predict", "a", "--list", runs / "two.csv").code == 2


def test_the_column_of_paths_is_path_or_the_challenges_fpath(tmp_path: Path) -> None:
    columns = ListColumns("dicom_id", "")
    for name in ("path", "fpath"):
        (tmp_path / "list.csv").write_text(f"dicom_id,{name}\nb,x/2.png\na,x/1.png\n")
        found = listed_files(tmp_path, tmp_path / "list.csv", columns)
        assert {key: file.path for key, file in found.items()} == {"b": tmp_path / "x/2.png", "a": tmp_path / "x/1.png"}
    (tmp_path / "list.csv").write_text("dicom_id,fpath,path\nb,elsewhere,x/2.png\n")
    assert listed_files(tmp_path, tmp_path / "list.csv", columns)["b"].path == tmp_path / "x/2.png"
    (tmp_path / "list.csv").write_text("dicom_id,file\nb,x/2.png\n")
    with pytest.raises(UserError, match="has no column path") as caught:
        listed_files(tmp_path, tmp_path / "list.csv", columns)
    assert "--path-column" in caught.value.hint


def test_the_challenges_csv(cxrlt: Run, runs: Path) -> None:
    assert cxrlt("predict", "a", "--submission", runs / "out/submission.csv").code == 0
    table = pd.read_csv(runs / "out/submission.csv")
    assert table.columns.tolist() == ["dicom_id", *CLASSES]
    found = read_predictions(runs / "predictions/a-test.parquet")
    assert table["dicom_id"].tolist() == found.image_ids
    assert np.allclose(table[CLASSES].to_numpy(), 1 / (1 + np.exp(-found.logits.astype(float))), rtol=1e-12)


def test_a_calibration_changes_probabilities_and_no_order(cxrlt: Run, runs: Path) -> None:
    assert cxrlt("calibrate", "a", "--name", "true").code == 0
    assert cxrlt("predict", "a").code == 0
    ended = cxrlt("predict", "a", "--calibrate", "true")
    assert ended.code == 0, ended.err
    assert "warning" not in ended.err
    before, after = (_logits(runs, name) for name in ("a-test", "a-test-true"))
    assert np.abs(after - before).max() > 0.01
    for c in range(len(CLASSES)):
        assert np.array_equal(np.unique(after[:, c], return_inverse=True)[1], np.unique(before[:, c], return_inverse=True)[1])
    header = read_predictions(runs / "predictions/a-test-true.parquet").header
    assert header.calibration is not None
    assert header.calibration.fitted_on.runs == ["a"]
    assert [Path(file.path).name for file in header.provenance.inputs] == ["best.pt", "true.json", "dataset.parquet"]
    ended = cxrlt("predict", "b", "--calibrate", "true")
    assert "was fitted with runs ['a'], these predictions have ['b']" in ended.err
    ended = cxrlt("predict", "b", "--calibrate", "nothing", "--name", "x")
    assert ended.code == 2
    assert "nothing.json is not there" in ended.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["c"], "'c' is no run"),
        (["a", "a"], "named twice"),
        (["a", "--tta", "17"], "--tta 17"),
        (["a", "--images", "none"], "none is not a folder"),
        (["a", "--images", "runs"], "has no PNG, JPEG or DICOM"),
        (["a", "--dataset", "none.parquet"], "none.parquet is not there"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str, cxrlt: Run, runs: Path) -> None:
    ended = cxrlt("predict", *arguments)
    assert ended.code == 2
    assert says in ended.err
    assert not list(runs.glob("predictions/*"))


def test_checkpoints_that_cannot_be_used(cxrlt: Run, runs: Path) -> None:
    best = runs / "runs/a/best.pt"
    whole = best.read_bytes()
    content = torch.load(best, weights_only=True)
    broken = {**content, "model": {**content["model"], "classifier.bias": torch.zeros(7)}}
    others = {**content, "classes": ["Mass", "Nodule", "Edema"]}
    pixels = {**content, "pixels": {**content["pixels"], "size": 64}}
    cases = [
        ("cannot be read as a checkpoint", lambda: best.write_bytes(whole[: len(whole) // 2])),
        ("is not a checkpoint of cxrlt", lambda: torch.save({"w": torch.zeros(1)}, best)),
        ("do not fit", lambda: torch.save(broken, best)),
        ("are of other classes", lambda: torch.save(others, best)),
        ("learned from pixels", lambda: torch.save(pixels, best)),
    ]
    for says, harm in cases:
        harm()
        ended = cxrlt("predict", "b", "a")
        assert ended.code == 2
        assert says in ended.err
    assert not list(runs.glob("predictions/*"))


def test_scores_that_are_not_finite_are_never_written(cxrlt: Run, runs: Path) -> None:
    best = runs / "runs/a/best.pt"
    content = torch.load(best, weights_only=True)
    content["model"]["classifier.bias"][1] = float("nan")
    torch.save(content, best)
    ended = cxrlt("predict", "a")
    assert ended.code == 2
    assert "not finite" in ended.err
    assert "Effusion" in ended.err
    assert not list(runs.glob("predictions/*"))


def test_another_dataset_is_pointed_out_and_existing_predictions_kept(cxrlt: Run, runs: Path) -> None:
    assert cxrlt("merge", "--label-space", runs / "classes.txt", "--seed", "9", "--overwrite").code == 0
    ended = cxrlt("predict", "a")
    assert ended.code == 0
    assert "is not the dataset of a's training" in ended.err
    ended = cxrlt("predict", "a")
    assert ended.code == 2
    assert "--overwrite" in ended.err
    shutil.rmtree(runs / "images")
    ended = cxrlt("predict", "b")
    assert ended.code == 2
    assert "pictures.h5 is not there" in ended.err


def test_files_that_are_replaced_while_images_are_scored(cxrlt: Run, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The header names the files that were read, not those that are there when it is written."""
    read = {name: fingerprint(runs / name).sha256 for name in ("runs/a/best.pt", "dataset.parquet")}

    def scored(*arguments: Any) -> Iterator[Part]:
        for name in read:
            (runs / name).write_bytes(b"another")
        return score_split(*arguments)

    monkeypatch.setattr("cxrlt_cli.predict.images.score_split", scored)
    ended = cxrlt("predict", "a")
    assert ended.code == 0, ended.err
    inputs = read_predictions(runs / "predictions/a-test.parquet").header.provenance.inputs
    assert [file.sha256 for file in inputs] == list(read.values())


def test_scores_and_submission_are_replaced_together(cxrlt: Run, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one cannot be written both stay as they were."""
    command = ["predict", "a", "--submission", "s.csv", "--overwrite"]
    assert cxrlt(*command).code == 0
    paths = [runs / "predictions/a-test.parquet", runs / "s.csv"]
    before = [path.read_bytes() for path in paths]
    assert cxrlt(*command, "--tta", "8", "--name", "a-test").code == 0
    after = [path.read_bytes() for path in paths]
    assert all(new != old for new, old in zip(after, before, strict=True))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("pyarrow.parquet.write_table", "cxrlt_cli.artifacts.csv_writer._write"):
        with monkeypatch.context() as patch:
            patch.setattr(name, lambda *_, **__: full())
            ended = cxrlt(*command)
        assert ended.code == 2
        assert "No space left" in ended.err
        assert [path.read_bytes() for path in paths] == after
        assert not list(runs.rglob("*.tmp"))
