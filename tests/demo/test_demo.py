"""The made-up sources on disk, and `cxrlt demo` as a whole on a few of them."""

import csv
import json
from pathlib import Path

import pytest
from conftest import Run
from PIL import Image

from cxrlt_cli.artifacts.data_sources import DataSource
from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.demo.sources import HOSPITAL_B_NAMES, write_sources
from cxrlt_cli.preprocess.read_gray import read_gray
from cxrlt_cli.preprocess.remarks import UnreadableImageError


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    write_sources(folder, images=150, size=64, seed=3, workers=2)
    return folder


def test_the_same_seed_gives_the_same_bytes(sources: Path, tmp_path: Path) -> None:
    write_sources(tmp_path, images=150, size=64, seed=3, workers=1)
    files = sorted(path.relative_to(sources) for path in sources.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert all((sources / path).read_bytes() == (tmp_path / path).read_bytes() for path in files)


def test_odd_modes_and_one_file_that_is_cut(sources: Path) -> None:
    modes, bad = set(), []
    for path in sorted(sources.rglob("images/*")):
        with Image.open(path) as image:
            modes.add((image.format, image.mode))
        try:
            assert read_gray(path).shape == (64, 64)
        except UnreadableImageError:
            bad.append(path)
    assert {("PNG", mode) for mode in ("L", "P", "RGB", "RGBA", "I;16")} | {("JPEG", "CMYK"), ("JPEG", "L")} <= modes
    assert len(bad) == 1


def test_no_patient_is_in_both_official_lists(sources: Path) -> None:
    folder = sources / "hospital-a"
    lists = [(folder / f"{part}_list.txt").read_text().split() for part in ("train_val", "test")]
    train, test = ({name.split("_")[0] for name in names} for names in lists)
    assert train
    assert test
    assert not train & test


def test_hospital_b_has_other_names_and_fewer_labels(sources: Path) -> None:
    with (sources / "hospital-b/labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert set(HOSPITAL_B_NAMES.values()) <= set(rows[0])
    assert "Hernia" not in rows[0]
    assert len({row["patient_id"] for row in rows}) < len(rows) == 60


@pytest.mark.usefixtures("typed_here", "without_figures")
def test_the_whole_demonstration(cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt("demo", tmp_path / "here", "--phantoms", 240, "--epochs", 1, "--size", 32)
    assert ended.code == 0, ended.err
    here = tmp_path / "here"
    commands = [line.split()[2] for line in ended.err.splitlines() if line.startswith("$ cxrlt ")]
    data = ["cache", "cache", "embed-labels", "merge"]
    assert commands == [*data, "train", "train", "predict", "predict", "evaluate", "compare", "report"]
    dataset = read_dataset(here / "dataset.parquet")
    assert set(dataset.table["source"]) == {"hospital-a", "hospital-b"}
    assert len(dataset.table) == 239
    assert dataset.header.data_sources == [DataSource("phantoms")], "not the dataset whose layout they have"
    assert (here / "images/hospital-a.failed.csv").is_file()
    metrics = json.loads((here / "evaluations/demo/metrics.json").read_text())
    assert metrics["split"] == "test"
    assert "mAP" in ended.out
    compared = json.loads((here / "comparisons/demo/comparison.json").read_text())
    assert (compared["base"], compared["others"][0]["name"]) == ("demo-linear", "demo")
    assert (here / "reports/demo/report.html").is_file()
    assert "Results in" in ended.err

    ended = cxrlt("demo", here)
    assert ended.code == 2
    assert "--overwrite" in ended.err
    assert (here / "evaluations/demo/metrics.json").is_file()


def test_a_folder_of_the_users_own_is_never_removed(cxrlt: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    ended = cxrlt("demo", tmp_path / "mine", "--overwrite")
    assert ended.code == 2
    assert "left unchanged" in ended.err
    assert (tmp_path / "mine/thesis.txt").read_text() == "years of work"
