"""`cxrlt bench` as a command, and what it counts."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import Run
from torch import nn

from cxrlt_cli.artifacts.image_pixels import ImageReader
from cxrlt_cli.bench import roofline
from cxrlt_cli.bench.roofline import operations_of
from cxrlt_cli.bench.run import Measured, _bottleneck
from cxrlt_cli.bench.synthetic import made_up_dataset
from cxrlt_cli.bench.workloads import make_parts
from cxrlt_cli.data.dataset_images import DatasetImages

TINY = ["--encoder", "timm:test_resnet", "--size", 32, "--batch-size", 4, "--classes", 3]
BENCH = ["bench", *TINY, "--seconds", 0, "--images", 36000]
PARTS = ["reading", "augmentation", "forward", "backward", "step", "predict, 1 view", "predict, 8 views"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Amounts that run every line and measure nothing."""
    monkeypatch.setattr(roofline, "_CPU_SIDE", 64)
    monkeypatch.setattr(roofline, "_COPIED", 1 << 12)
    monkeypatch.setattr("cxrlt_cli.bench.run.make_parts", partial(make_parts, images=64))


@pytest.mark.usefixtures("small")
def test_every_part_is_measured(cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt(*BENCH, "--precision", "fp32", "--layout", "plain", "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert list(found["parts"]) == PARTS
    for part in found["parts"].values():
        assert part["images_per_s"] > 0
        assert part["epoch_hours"] == pytest.approx(10 / part["images_per_s"])
        assert part["fraction"] > 0
    assert found["parts"]["step"]["images_per_s"] < found["parts"]["reading"]["images_per_s"]
    assert found["bottleneck"] in PARTS[:4]
    assert found["compute_mode"] == "fp32, plain"
    assert list(tmp_path.iterdir()) == [], "made-up images are gone"


@pytest.mark.usefixtures("small")
def test_the_table_and_what_it_lacks(cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt(*BENCH, "--precision", "fp32", "--layout", "plain", "--queries", "none", "--checkpointing")
    assert ended.code == 0, ended.err
    assert [line.split("  ")[0] for line in ended.out.splitlines()[2:-1]] == PARTS
    assert ended.out.splitlines()[-1].startswith("bottleneck of training: ")
    ended = cxrlt("bench", "--encoder", "resnet999")
    assert ended.code == 2
    assert "resnet999" in ended.err
    assert cxrlt("bench", "--size", 0).code == 2


def test_operations_are_counted() -> None:
    layer, images = nn.Conv2d(1, 8, 3, padding=1, bias=False), torch.zeros(2, 1, 10, 10)
    assert operations_of(lambda: layer(images)) == 2 * 2 * 8 * 100 * 9


def test_what_holds_the_others_up() -> None:
    def measured(**rates: float) -> dict[str, Measured]:
        return {name: Measured(rate, 0.5, 1.0) for name, rate in rates.items()}

    assert _bottleneck(measured(reading=90, augmentation=50, step=60, forward=200, backward=100)) == "augmentation"
    assert _bottleneck(measured(reading=90, augmentation=80, step=60, forward=200, backward=100)) == "backward"


def test_made_up_images_are_read_as_real_ones(tmp_path: Path) -> None:
    dataset = made_up_dataset(tmp_path, 5, 16, 3)
    assert (
        DatasetImages(dataset).read(dataset.table.index.to_numpy())
        == ImageReader(tmp_path / "images.h5").read(dataset.table["row"].to_numpy())
    ).all()
    assert dataset.targets.shape == (5, 3)
