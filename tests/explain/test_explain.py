"""`cxrlt explain` as a command."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import TRAIN, Run, type_in
from PIL import Image
from shared import copied, made_once

from cxrlt_cli.explain.heatmap import marked, overlay, peak_of, strength


@pytest.fixture(scope="session")
def made_run(made_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of `run`, to be copied."""

    def make(folder: Path) -> None:
        copied(made_dataset, folder)
        type_in(folder, [TRAIN])

    return made_once(tmp_path_factory, "explain", make)


@pytest.fixture
def run(made_run: Path, tmp_path: Path) -> Path:
    """A trained run beside its dataset."""
    return copied(made_run, tmp_path) / "runs/tiny_net"


def test_sheets_and_maps_of_ids_and_files(cxrlt: Run, run: Path, pictures: Path) -> None:
    workspace = run.parents[1]
    file = pictures / "pictures/0003.png"
    ended = cxrlt("explain", "tiny_net", "i0003", file, "--top", "1", "--label", "Hernia")
    assert ended.code == 0, ended.err
    folder = workspace / "explanations/tiny_net-i0003+1"
    assert sorted(path.name for path in folder.iterdir()) == ["01-i0003.png", "02-0003.png", "maps.parquet"]
    with Image.open(folder / "01-i0003.png") as sheet:
        assert min(sheet.size) > 300
        assert len(np.unique(np.asarray(sheet.convert("RGB")).reshape(-1, 3), axis=0)) > 50
    maps = pd.read_parquet(folder / "maps.parquet")
    assert set(maps["kind"]) == {"attention-last", "layer-integrated-gradients"}
    assert "Hernia" in set(maps["class"])
    attention = maps[maps["kind"] == "attention-last"]
    assert np.allclose([sum(values) for values in attention["values"]], 1, atol=1e-5)
    by_image = [rows[["class", "logit"]].to_numpy().tolist() for _, rows in attention.groupby("image_id")]
    assert by_image[0] == by_image[1], "the id and the file are the same picture"
    assert ended.out.count("Hernia") == 2
    assert cxrlt("explain", "tiny_net", "i0003", file, "--top", "1", "--label", "Hernia").code == 2
    ended = cxrlt("explain", "tiny_net", "i0003", file, "--method", "grad-cam", "--layers", "rollout", "--overwrite")
    assert ended.code == 0, ended.err
    assert set(pd.read_parquet(folder / "maps.parquet")["kind"]) == {"attention-rollout", "grad-cam"}


def test_the_scores_are_those_of_predict(cxrlt: Run, run: Path) -> None:
    workspace = run.parents[1]
    assert cxrlt("predict", "tiny_net", "--split", "train").code == 0
    scores = pd.read_parquet(workspace / "predictions/tiny_net-train.parquet").set_index("image_id")
    image = str(scores.index[0])
    ended = cxrlt("explain", "tiny_net", image, "--method", "grad-cam", "--top", "3", "--name", "x")
    assert ended.code == 0, ended.err
    maps = pd.read_parquet(workspace / "explanations/x/maps.parquet")
    for name, logit in zip(maps["class"], maps["logit"], strict=True):
        assert logit == pytest.approx(scores.loc[image, f"logit:{name}"], abs=1e-4)


def test_a_network_without_queries_says_so(cxrlt: Run, dataset: Path) -> None:
    assert cxrlt(*TRAIN, "--queries", "none", "--name", "pooled").code == 0
    ended = cxrlt("explain", "pooled", "i0003")
    assert ended.code == 0, ended.err
    assert "has no queries, so no attention" in ended.err
    maps = pd.read_parquet(dataset.parent / "explanations/pooled-i0003/maps.parquet")
    assert set(maps["kind"]) == {"layer-integrated-gradients"}


def test_wrong_usage(cxrlt: Run, run: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    for arguments, says in (
        ([], "missing arguments"),
        (["tiny_net"], "missing arguments"),
        (["tiny_net", "none.png"], "neither a file nor an image of"),
        (["tiny_net", "i000"], "nearest is 'i0"),
        (["tiny_net", "i0003", "--label", "hernia"], "nearest is 'Hernia'"),
        (["tiny_net", "i0003", "--top", "0"], "leaves nothing to explain"),
        (["tiny_nte", "i0003"], "nearest is 'tiny_net'"),
        (["tiny_net", "torn.png"], "torn.png cannot be read"),
    ):
        ended = cxrlt("explain", *arguments)
        assert ended.code == 2, arguments
        assert says in ended.err, arguments
    assert not (tmp_path / "explanations").exists()


def test_the_veil_is_nothing_over_an_even_map_and_thick_at_a_peak() -> None:
    even, peak = np.full((4, 4), 1 / 16), np.zeros((4, 4))
    peak[1, 2] = 1
    assert strength(even).max() == 0
    assert strength(np.zeros((4, 4))).max() == 0
    assert (strength(peak)[1, 2], strength(peak).sum()) == (1.0, 1.0)
    assert strength(even + 0.01 * peak).max() == pytest.approx(0.15 / 1.01, abs=0.01)
    assert peak_of(peak) == 16
    assert np.isnan(peak_of(np.zeros((2, 2))))
    assert overlay(peak, 8, (1, 2, 3))[..., 3].max() > 100
    assert marked(peak, 1 / 16).tolist() == (peak == 1).tolist()
    assert marked(even, 0.25).sum() == 4
