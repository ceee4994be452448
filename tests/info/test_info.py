"""`cxrlt info` as a command: every artifact says what it is."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import CACHE, TRAIN, Run, classes_file, type_in
from PIL import Image
from shared import copied, made_once

from cxrlt_cli.report.cooccurrence import cooccurrence_counts, strongest_pairs


@pytest.fixture(scope="session")
def workspace(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one artifact of each kind."""

    def make(folder: Path) -> None:
        commands: list[list[object]] = [
            [*CACHE, "--source", f"table={copied(written, folder / 'source') / 'labels.csv'}", "--name", "pictures"],
            ["embed-labels", "--encoder", "ngram"],
            ["merge", "--label-space", classes_file(folder), "--split", "50,25,25", "--uncertain", "positive"],
            [*TRAIN, "--mixup", "0.3"],
            ["predict"],
            ["evaluate", "--bootstrap", "20"],
            ["clean"],
        ]
        type_in(folder, commands)

    return made_once(tmp_path_factory, "info", make)


def _info(cxrlt: Run, workspace: Path, path: str, *more: object) -> dict[str, object]:
    ended = cxrlt("info", workspace / path, "--json", *more)
    assert ended.code == 0, ended.err
    found: dict[str, object] = json.loads(ended.out)
    return found


KINDS = {
    "dataset.parquet": "dataset",
    "images/pictures.h5": "images",
    "images/pictures.parquet": "source table",
    "label_embeddings.parquet": "label embeddings",
    "predictions/tiny_net-test.parquet": "predictions",
    "runs/tiny_net": "run",
    "evaluations/tiny_net-test": "evaluation",
    "corrections/tiny_net-test": "corrections",
}


@pytest.mark.parametrize("path", KINDS)
def test_every_artifact_says_what_it_is_and_what_made_it(path: str, cxrlt: Run, workspace: Path) -> None:
    found = _info(cxrlt, workspace, path)
    assert found["kind"] == KINDS[path]
    ended = cxrlt("info", workspace / path)
    assert ended.code == 0, ended.err
    assert ended.out.startswith(f"{workspace / path}: ")
    if path != "label_embeddings.parquet":
        assert str(found["made_by"]).startswith("cxrlt ")
        assert str(found["made_by"]) in ended.out


def test_a_dataset_is_told_by_its_content_and_not_its_name(cxrlt: Run, workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes((workspace / "dataset.parquet").read_bytes())
    assert _info(cxrlt, tmp_path, "x.bin")["kind"] == "dataset"


def test_figures_of_a_dataset(cxrlt: Run, workspace: Path) -> None:
    found = _info(cxrlt, workspace, "dataset.parquet")
    table = pd.read_csv(workspace / "source/labels.csv")
    merged = pd.read_parquet(workspace / "dataset.parquet")
    assert found["images"] == 96
    assert found["patients"] == 48
    classes = {entry["class"]: entry for entry in found["classes"]}  # type: ignore[index, attr-defined]
    for name in ("Cardiomegaly", "Effusion", "Hernia"):
        assert classes[name]["positives"] == table[name].sum()
        assert classes[name]["train"] == merged[f"label:{name}"][merged["split"] == "train"].sum()
    groups = found["groups"]
    assert [group["split"] for group in groups] == ["train", "val", "test"]  # type: ignore[attr-defined]
    assert sum(group["images"] for group in groups) == 96  # type: ignore[attr-defined]
    assert found["policies"]["pictures"]["uncertain"]["policy"] == "positive"  # type: ignore[index]


def test_images_and_runs(cxrlt: Run, workspace: Path) -> None:
    images = _info(cxrlt, workspace, "images/pictures.h5")
    assert (images["images"], images["done"], images["size"], images["constant"]) == (96, 96, 32, 0)
    run = _info(cxrlt, workspace, "runs/tiny_net")
    assert run["chosen"]["mixup"] == 0.3  # type: ignore[index]
    assert "weight_decay" not in run["chosen"]  # type: ignore[operator]
    assert run["epochs"] == 2


@pytest.mark.parametrize("shards", [1, 3])
def test_a_cache_counts_what_is_missing_and_what_cannot_be_read(
    shards: int, cxrlt: Run, pictures: Path, tmp_path: Path
) -> None:
    files = sorted((pictures / "pictures").iterdir())
    for path in files[40:75]:
        path.unlink()
    files[0].write_bytes(b"no picture")
    cache = [*CACHE, "--source", f"table={pictures / 'labels.csv'}", "--name", "pictures", "--allow-missing"]
    for index in range(shards):
        assert cxrlt(*cache, *(["--shard", f"{index}/{shards}"] if shards > 1 else [])).code == 0
    if shards > 1:
        assert cxrlt("join", "pictures").code == 0
    found = _info(cxrlt, tmp_path, "images/pictures.h5")
    assert [found[key] for key in ("listed", "images", "done", "missing")] == [96, 61, 60, 35]
    assert "96 listed, 60 cached, 35 missing, 1 unreadable" in cxrlt("info", tmp_path / "images/pictures.h5").out
    found = _info(cxrlt, tmp_path, "images/pictures.parquet")
    assert [found[key] for key in ("listed", "images", "missing", "unreadable")] == [96, 60, 35, 1]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_figure_of_a_dataset(suffix: str, cxrlt: Run, workspace: Path, tmp_path: Path) -> None:
    ended = cxrlt("info", workspace / "dataset.parquet", "--figure", f"labels.{suffix}")
    assert ended.code == 0, ended.err
    if suffix == "png":
        with Image.open(tmp_path / "labels.png") as image:
            assert min(image.size) > 400
    else:
        assert "<svg" in (tmp_path / "labels.svg").read_text()
    ended = cxrlt("info", workspace / "dataset.parquet", "--figure", f"labels.{suffix}")
    assert ended.code == 2
    assert "exists" in ended.err


def test_a_contact_sheet_shows_the_pictures(cxrlt: Run, workspace: Path, tmp_path: Path) -> None:
    ended = cxrlt("info", workspace / "images/pictures.h5", "--figure", "sheet.png")
    assert ended.code == 0, ended.err
    with Image.open(tmp_path / "sheet.png") as image:
        sheet = np.asarray(image.convert("L"))
    assert sheet.shape == (8 * 178 + 4, 8 * 164 + 4)
    tile = np.asarray(Image.fromarray(sheet[4:164, 4:164]).resize((32, 32), Image.Resampling.BOX)).astype(float)
    from cxrlt_cli.artifacts.image_pixels import ImageReader

    first = ImageReader(workspace / "images/pictures.h5").read(np.array([0]))[0]
    assert np.corrcoef(tile.ravel(), first.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "missing argument PATH"),
        (["none.parquet"], "none.parquet is not there"),
        (["source/labels.csv"], "is not an artifact of cxrlt"),
        (["source"], "not a run, an evaluation, a comparison or a result of clean"),
        (["runs/tiny_net", "--figure", "x.png"], "cannot be plotted"),
        (["dataset.parquet", "--figure", "x.jpg"], "neither in .png nor in .svg"),
        (["images/pictures.h5", "--figure", "x.svg"], "name a .png"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str, cxrlt: Run, workspace: Path, tmp_path: Path) -> None:
    ended = cxrlt("info", *arguments, "--workspace", workspace)
    assert ended.code == 2
    assert says in ended.err + ended.out
    assert not list(tmp_path.iterdir())


def test_a_parquet_file_of_another_origin(cxrlt: Run, tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    ended = cxrlt("info", "other.parquet")
    assert ended.code == 2
    assert "Parquet file not written by cxrlt" in ended.err


def test_labels_that_come_together_by_hand() -> None:
    """Of 100 images 20 have a, 40 have b, 10 both: half of a's have b, 1.25 times of what chance gives."""
    positive = np.zeros((100, 2), dtype=bool)
    positive[:20, 0] = positive[10:50, 1] = True
    together = cooccurrence_counts(positive)
    assert together.tolist() == [[20, 10], [10, 40]]
    first, second = strongest_pairs(together, 100, ["a", "b"])
    assert (first["given"], first["also"], first["images"], first["share"], first["lift"]) == ("a", "b", 10, 0.5, 1.25)
    assert (second["given"], second["share"]) == ("b", 0.25)
