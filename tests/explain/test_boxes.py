"""`cxrlt explain --boxes`: boxes go where preprocessing brings the pixels, and every map is measured against them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import TRAIN, Run, type_in
from PIL import Image
from shared import copied, made_once

from cxrlt_cli.explain.localise import ALL, KINDS
from cxrlt_cli.preprocess.resize import box_in_square
from cxrlt_cli.preprocess.settings import PixelSettings, make_square


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize(("width", "height"), [(300, 200), (150, 400), (257, 256), (64, 64)])
def test_a_box_is_where_its_pixels_are(fit: str, width: int, height: int, tmp_path: Path) -> None:
    """The box of a white rectangle on black, in the square that `cache` makes of the same picture."""
    picture = np.zeros((height, width), dtype=np.uint8)
    box = (width * 0.3, height * 0.4, width * 0.6, height * 0.7)
    left, top, right, bottom = (round(end) for end in box)
    picture[top:bottom, left:right] = 255
    Image.fromarray(picture).save(tmp_path / "x.png")
    settings = PixelSettings(128, fit)  # type: ignore[arg-type]
    white = np.argwhere(make_square(tmp_path / "x.png", settings).pixels > 127)
    found = box_in_square((left, top, right, bottom), (width, height), 128, settings.fit)
    expected = [white[:, 1].min(), white[:, 0].min(), white[:, 1].max() + 1, white[:, 0].max() + 1]
    assert found == pytest.approx(expected, abs=1.01)


def test_a_box_that_is_cropped_away_is_empty() -> None:
    left, _, right, _ = box_in_square((0, 50, 40, 100), (400, 200), 64, "crop")
    assert left == right == 0


@pytest.fixture(scope="session")
def made_boxed(made_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of `boxed`, to be copied."""

    def make(folder: Path) -> None:
        copied(made_dataset, folder)
        type_in(folder, [TRAIN])
        rows = [f"i{n:04},{name},0,20,18,20\n" for n in range(0, 12, 3) for name in ("Effusion", "Cardiomegaly")]
        (folder / "boxes.csv").write_text("image_id,class,x,y,w,h\n" + "".join(rows))

    return made_once(tmp_path_factory, "boxed", make)


@pytest.fixture
def boxed(made_boxed: Path, tmp_path: Path) -> Path:
    """A workspace with a run and boxes of four images, in pixels of the 36 x 40 px pictures."""
    return copied(made_boxed, tmp_path)


def test_every_map_is_measured(cxrlt: Run, boxed: Path) -> None:
    ended = cxrlt("explain", "tiny_net", "--boxes", "boxes.csv", "--boxes-size", "36x40")
    assert ended.code == 0, ended.err
    folder = boxed / "explanations/tiny_net-boxes"
    assert sorted(path.name for path in folder.iterdir()) == ["findings.csv", "localisation.csv", "localisation.json"]
    rows, findings = pd.read_csv(folder / "localisation.csv"), pd.read_csv(folder / "findings.csv")
    assert set(rows["kind"]) == set(KINDS)
    assert set(rows["class"]) == {ALL, "Effusion", "Cardiomegaly"}
    assert len(findings) == 8 * len(KINDS)
    box = box_in_square((0, 20, 18, 40), (36, 40), 32, "pad")
    area = (box[2] - box[0]) * (box[3] - box[1]) / 32**2
    assert rows["area"].to_numpy() == pytest.approx(area, abs=0.03)
    for (kind, label), own in findings.groupby(["kind", "class"]):
        row = rows[(rows["kind"] == kind) & (rows["class"] == label)].iloc[0]
        assert row["hit"] == pytest.approx(own["hit"].mean())
        assert row["inside"] == pytest.approx(own["inside"].mean())
        assert row["iou"] <= own["best_iou"].mean() + 1e-9
    assert rows["hit"].between(0, 1).all()
    assert rows[rows["class"] == ALL]["findings"].tolist() == [8] * len(KINDS)
    content = json.loads((folder / "localisation.json").read_text())
    assert content["format"] == "cxrlt localisation"
    assert len(content["provenance"]["inputs"]) == 3
    assert "attention-rollout" in ended.out


def test_image_files_tell_their_size_and_nihs_columns_are_known(cxrlt: Run, boxed: Path, pictures: Path) -> None:
    (boxed / "nih.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n0003.png,Effusion,0,20,18,20,,,\n0006.png,Effusion,0.5,20,17.5,20.2,,,\n"
    )
    file = pictures / "pictures/0003.png"
    ended = cxrlt("explain", "tiny_net", file, "--boxes", "nih.csv", "--tolerance", "0.0625", "--name", "x")
    assert ended.code == 0, ended.err
    findings = pd.read_csv(boxed / "explanations/x/findings.csv")
    assert set(findings["image_id"]) == {"0003.png"}
    rows = pd.read_csv(boxed / "explanations/x/localisation.csv")
    assert (rows["hit_chance"] > rows["area"]).all()
    assert rows["hit_low"].notna().all()
    assert rows["inside_low"].isna().all(), "one patient gives no interval of a mean"


def test_a_network_without_queries_has_three_maps(cxrlt: Run, boxed: Path) -> None:
    assert cxrlt(*TRAIN, "--queries", "none", "--epochs", "1", "--name", "pooled").code == 0
    ended = cxrlt("explain", "pooled", "i0003", "--boxes", "boxes.csv", "--boxes-size", "36x40")
    assert ended.code == 0, ended.err
    kinds = pd.read_csv(boxed / "explanations/pooled-boxes/localisation.csv")["kind"]
    assert set(kinds) == {"grad-cam", "layer-integrated-gradients", "integrated-gradients"}


HEADER = "image_id,class,x,y,w,h\n"
SIZE = ["--boxes-size", "36x40"]


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        (HEADER + "i0003,Effusion,30,0,10,5\n", SIZE, "boxes.csv, row 2: the box of Effusion (30, 0 to 40, 5) reaches out"),
        (HEADER + "i0003,Effusion,-5,0,10,5\n", SIZE, "reaches out of its image of 36 x 40 px"),
        (HEADER + "i0003,Efusion,0,0,9,5\n", SIZE, "classes that the run does not have: Efusion; nearest is 'Effusion'"),
        (HEADER + "i0003,Effusion,0,0,9,5\nz9,Effusion,0,0,9,5\n", SIZE, "boxes of 1 images that are not there: z9"),
        (HEADER + "z9,Effusion,0,0,9,5\n", [*SIZE, "--allow-missing"], "boxes of 1 images that are not there: z9"),
        (HEADER + "i0003,Effusion,0,0,9,5\n", [], "does not say how large the original images are"),
        (HEADER + "i0003,Effusion,0,zero,9,5\n", SIZE, "row 2: could not convert"),
        (HEADER + "i0003,Effusion,0,nan,9,5\n", SIZE, "row 2: 'nan' is not a finite number"),
        (HEADER + "i0003,Effusion,0,0,0,5\n", SIZE, "row 2: a box of 0 x 5 px"),
        (HEADER, SIZE, "has no boxes"),
        ("image_id,class,x,y\n", SIZE, "lacks the columns w, h"),
        (HEADER + "i0003,Effusion,0,0,9,5\n", ["--boxes-size", "big"], "neither SIDE nor WIDTHxHEIGHT"),
        (HEADER + "i0003,Effusion,0,0,9,5\n", [*SIZE, "--label", "Hernia"], "--label goes without --boxes"),
        (HEADER + "i0003,Effusion,0,0,9,5\n", [*SIZE, "--tolerance", "0.5"], "not within 0 … 0.25"),
        (HEADER + "i0003,Effusion,0,0,9,5\n", [*SIZE, "--dataset", "no.parquet"], "no.parquet"),
    ],
)
def test_bad_boxes(text: str, options: list[str], says: str, cxrlt: Run, boxed: Path) -> None:
    (boxed / "boxes.csv").write_text(text)
    ended = cxrlt("explain", "tiny_net", "--boxes", "boxes.csv", *options)
    assert ended.code == 2
    assert says in ended.err
    assert not (boxed / "explanations").exists()


def test_missing_ones_are_left_out_on_request(cxrlt: Run, boxed: Path) -> None:
    text = HEADER + "i0003,Effusion,0,0,9,5\nz9,Effusion,0,0,9,5\ni0003,Rib,0,0,9,5\n"
    (boxed / "boxes.csv").write_text(text)
    ended = cxrlt("explain", "tiny_net", "--boxes", "boxes.csv", *SIZE, "--allow-missing")
    assert ended.code == 0, ended.err
    assert "2 boxes of images or classes that are not there are left out" in ended.err
    assert "need --boxes" in cxrlt("explain", "tiny_net", "i0003", "--tolerance", "0.1").err
