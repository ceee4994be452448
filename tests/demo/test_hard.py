"""The hard set: what it writes, where its findings are, and `cxrlt demo --findings hard` as a whole."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from PIL import Image

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.demo.anatomy import Anatomy, new_patient, new_position
from cxrlt_cli.demo.hard_findings import HARD_FINDINGS, Box, draw_hard, paint_hard
from cxrlt_cli.demo.hard_sources import hard_visits, write_hard_source
from cxrlt_cli.labels.spaces import read_space
from cxrlt_cli.text.label_texts import read_label_texts, texts_for

SIZE = 96
NAMES = [finding.name for finding in HARD_FINDINGS]
MIRRORED = [(name, name.replace("right", "left")) for name in NAMES if "right" in name]


def _patient(seed: int) -> Anatomy:
    return new_position(new_patient(np.random.default_rng(seed)), np.random.default_rng(seed))


def _change(name: str, seed: int, others: set[str], size: int = SIZE) -> tuple[np.ndarray, Box]:
    """(S, S) density that one finding adds, and its box."""
    without, _ = paint_hard(others, _patient(seed), (seed,), size)
    chest, boxes = paint_hard({name, *others}, _patient(seed), (seed,), size)
    return chest.density - without.density, next(box for box in boxes if box.name == name)


def _inside(box: Box, margin: int) -> tuple[slice, slice]:
    """The rows and columns of a box with a margin, px."""
    rows = slice(max(box.y - margin, 0), box.y + box.h + margin)
    return rows, slice(max(box.x - margin, 0), box.x + box.w + margin)


def _middle(box: Box, patient: Anatomy, size: int = SIZE) -> tuple[float, float]:
    """The middle of a box in coordinates of the chest."""
    x, y = (2 * (start + (length - 1) / 2) / (size - 1) - 1 for start, length in ((box.x, box.w), (box.y, box.h)))
    across, down = (x - patient.centre[0]) / patient.zoom, (y - patient.centre[1]) / patient.zoom
    turned = patient.tilt
    return across * np.cos(turned) - down * np.sin(turned), across * np.sin(turned) + down * np.cos(turned)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources") / "hard"
    write_hard_source(folder, images=150, size=64, seed=3, workers=2)
    return folder


def test_the_same_seed_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    write_hard_source(again, images=150, size=64, seed=3, workers=1)
    files = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())
    assert len(files) == 155
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert all((source / path).read_bytes() == (again / path).read_bytes() for path in files)


@pytest.mark.parametrize("name", NAMES)
def test_a_finding_changes_the_picture_in_its_box_and_nowhere_else(name: str) -> None:
    others = {"Nodule left upper", "Patch right lower"} - {name}
    for seed in range(4):
        change, box = _change(name, seed, others)
        outside = np.abs(change)
        peak = outside.max()
        assert peak > 0.03
        rows, columns = _inside(box, 0)
        assert outside[rows, columns].max() == peak
        outside[rows, columns] = 0
        assert outside.max() < 0.45 * peak
        outside[_inside(box, SIZE // 8)] = 0
        assert outside.max() < 0.1 * peak


@pytest.mark.parametrize("name", NAMES)
def test_a_box_is_tight_and_inside_the_picture(name: str) -> None:
    for seed in range(8):
        change, box = _change(name, seed, set())
        assert 0 <= box.x < box.x + box.w <= SIZE
        assert 0 <= box.y < box.y + box.h <= SIZE
        rows, columns = _inside(box, 0)
        inside = np.abs(change[rows, columns])
        clear = inside >= 0.35 * inside.max()
        assert clear[0].any()
        assert clear[-1].any()
        assert clear[:, 0].any()
        assert clear[:, -1].any()


@pytest.mark.parametrize(("right", "left"), MIRRORED)
def test_mirrored_findings_lie_on_opposite_sides(right: str, left: str) -> None:
    for seed in range(4):
        patient = _patient(seed)
        assert _middle(_change(right, seed, set())[1], patient)[0] < -0.1
        assert _middle(_change(left, seed, set())[1], patient)[0] > 0.1


@pytest.mark.parametrize("kind", ["Nodule right", "Patch right", "Nodule left", "Patch left", "Reticulation"])
def test_upper_findings_lie_above_lower_ones(kind: str) -> None:
    for seed in range(4):
        patient = _patient(seed)
        upper, lower = (_middle(_change(f"{kind} {field}", seed, set())[1], patient)[1] for field in ("upper", "lower"))
        assert upper + 0.3 < lower


@pytest.mark.parametrize("side", ["right", "left"])
def test_central_findings_lie_nearer_to_the_middle_than_peripheral_ones(side: str) -> None:
    for seed in range(4):
        patient = _patient(seed)
        central, peripheral = (
            abs(_middle(_change(f"{field} haze {side}", seed, set())[1], patient)[0]) for field in ("Central", "Peripheral")
        )
        assert central + 0.2 < peripheral


def test_findings_are_at_the_same_place_at_every_size() -> None:
    _, small = draw_hard(NAMES, _patient(1), (1,), 96)
    _, large = draw_hard(NAMES, _patient(1), (1,), 384)
    for one, other in zip(small, large, strict=True):
        assert one.name == other.name
        assert np.abs(np.subtract(_middle(one, _patient(1), 96), _middle(other, _patient(1), 384))).max() < 0.06


def test_the_boxes_are_those_of_the_labels(source: Path) -> None:
    labels = pd.read_csv(source / "labels.csv").set_index("image_id")
    boxes = pd.read_csv(source / "boxes.csv")
    assert list(boxes) == ["image_id", "class", "x", "y", "w", "h"]
    positive = {(image, name) for name in NAMES for image in labels.index[labels[name] == 1]}
    assert len(boxes) == len(positive)
    assert {(row["image_id"], row["class"]) for _, row in boxes.iterrows()} == positive
    assert (boxes[["x", "y"]] >= 0).all(axis=None)
    assert (boxes[["w", "h"]] > 0).all(axis=None)
    assert (boxes["x"] + boxes["w"]).max() <= 64
    assert (boxes["y"] + boxes["h"]).max() <= 64
    with Image.open(source / labels["path"].iloc[0]) as picture:
        assert picture.size == (64, 64)


def test_label_space_and_texts_have_every_class(source: Path) -> None:
    assert read_space(str(source / "label_space.txt")) == NAMES
    texts = texts_for(NAMES, read_label_texts(source / "label_texts.csv"), source / "label_texts.csv")
    assert [text.name for (text,) in texts] == NAMES
    prompts = {text.name: text.prompt for (text,) in texts}
    assert len(set(prompts.values())) == len(NAMES)
    assert prompts["Nodule right upper"] == "nodule in the right upper lung field"


def test_the_tail_is_long_and_every_class_has_positives() -> None:
    found = hard_visits(7000, np.random.default_rng(0))
    counts = [sum(name in visit.findings for visit in found) for name in NAMES]
    assert counts[0] > 1000
    assert 8 <= min(counts) <= 40
    assert np.mean(counts[:5]) > 20 * np.mean(counts[-5:])
    assert 0.25 < np.mean([not visit.findings for visit in found]) < 0.45


@pytest.mark.usefixtures("typed_here")
def test_the_command(cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt("demo", tmp_path / "here", "--findings", "hard", "--data-only", "--phantoms", 150, "--size", 48)
    assert ended.code == 0, ended.err
    commands = [line.split()[2] for line in ended.err.splitlines() if line.startswith("$ cxrlt ")]
    assert commands == ["cache", "embed-labels", "merge"]
    dataset = read_dataset(tmp_path / "here/dataset.parquet")
    assert dataset.classes == NAMES
    assert len(dataset.table) == 150
    with (tmp_path / "here/sources/hard/labels.csv").open() as file:
        assert sum(int(row[NAMES[0]]) for row in csv.DictReader(file)) == dataset.targets[:, 0].sum()
    assert (tmp_path / "here/label_embeddings.parquet").is_file()
    assert "boxes.csv" in ended.err


def test_hard_findings_are_for_data_only(cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt("demo", tmp_path / "here", "--findings", "hard")
    assert ended.code == 2
    assert "--data-only" in ended.err
    assert not (tmp_path / "here").exists()
