"""A run from a published encoder, by the commands that a user types: train, predict, explain, info."""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Run
from shared import copied, made_once
from tiny_encoders import into_cache, save_transformers

from cxrlt_cli.artifacts.predictions import read_predictions
from cxrlt_cli.artifacts.run import read_checkpoint
from cxrlt_cli.config.encoder_name import parse_encoder
from cxrlt_cli.encoders.architecture import published_weights
from cxrlt_cli.explain.attention import attention_map
from cxrlt_cli.explain.attribution import attribution
from cxrlt_cli.model.decoder import DecoderSize
from cxrlt_cli.model.network import Network, NetworkSpec

CARD = "---\nlicense: cc-by-nc-4.0\n---\n# Tiny\n"
SMALL = [
    "train", "--epochs", "1", "--batch-size", "16", "--decoder-layers", "1", "--decoder-width", "32", "--decoder-feedforward",
    "32", "--decoder-heads", "2", "--precision", "fp32", "--layout", "plain",
]  # fmt: skip


@pytest.fixture(scope="module")
def tiny_dinov2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "tiny-dinov2", partial(save_transformers, "patch8"))


@pytest.fixture
def cache(tiny_dinov2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the hub with the encoder hf:tiny/dinov2, whose card names a non-commercial licence."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = copied(tiny_dinov2, tmp_path / "saved")
    (folder / "README.md").write_text(CARD)
    into_cache(folder, "tiny/dinov2", tmp_path / "hub")
    return tmp_path / "hub"


def _config(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "runs" / name / "config.json").read_text())
    return found


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("tune", ["full", "head", "lora:4"])
def test_from_the_hub_to_predictions_without_the_encoders_files(
    tune: str, cxrlt: Run, dataset: Path, cache: Path, tmp_path: Path
) -> None:
    trained = cxrlt(*SMALL, "--encoder", "hf:tiny/dinov2", "--tune", tune, "--layer-decay", "0.8", "--checkpointing")
    assert trained.code == 0, trained.err
    assert trained.err.count("non-commercial (cc-by-nc-4.0)") == 1
    config = _config(tmp_path, "dinov2")
    origin = {"repository": "tiny/dinov2", "revision": "0123abcd" * 5, "licence": "cc-by-nc-4.0", "gated": False}
    assert config["encoder_origin"] == origin
    assert config["encoder_weights"] == "pretrained"
    shutil.rmtree(cache)
    predicted = cxrlt("predict", "runs/dinov2", "--split", "val", "--name", "p")
    assert predicted.code == 0, predicted.err
    validation = read_predictions(tmp_path / "runs/dinov2/validation.parquet").logits
    assert np.allclose(read_predictions(tmp_path / "predictions/p.parquet").logits, validation, atol=1e-4)
    described = cxrlt("info", "runs/dinov2")
    assert f"tiny/dinov2, revision {'0123abcd' * 5}, cc-by-nc-4.0" in described.out
    reported = cxrlt("report", "dinov2", "--name", "r", "--mistakes", "0", "--resamples", "100")
    assert reported.code == 0, reported.err
    page = next((tmp_path / "reports/r").glob("*.html")).read_text()
    assert f"Weights of the encoder from tiny/dinov2, revision {'0123abcd' * 5}" in page


def test_an_adapted_run_is_resumed_and_started_from(cxrlt: Run, dataset: Path, cache: Path, tmp_path: Path) -> None:
    command = [*SMALL, "--encoder", "hf:tiny/dinov2", "--tune", "lora:4"]
    assert cxrlt(*command).code == 0
    (tmp_path / "runs/dinov2/status.json").unlink()  # as if it was killed at its end
    before = read_checkpoint(tmp_path / "runs/dinov2/last.pt", ["model"])["model"]
    assert any(name.endswith(".up") for name in before)
    resumed = cxrlt(*command, "--resume")
    assert resumed.code == 0, resumed.err
    after = read_checkpoint(tmp_path / "runs/dinov2/last.pt", ["model"])["model"]
    assert all(torch.equal(before[name], after[name]) for name in before)
    best = read_checkpoint(tmp_path / "runs/dinov2/best.pt", ["model"])["model"]
    assert not [name for name in best if "parametrizations" in name]
    again = cxrlt(*command, "--weights", "runs/dinov2", "--name", "again")
    assert again.code == 0, again.err
    assert "0 start at random" in again.err
    assert "encoder_origin" not in _config(tmp_path, "again")


def test_a_local_folder_and_a_frozen_encoder_under_its_other_name(
    cxrlt: Run, dataset: Path, tiny_dinov2: Path, tmp_path: Path
) -> None:
    trained = cxrlt(*SMALL, "--encoder", str(tiny_dinov2), "--freeze", "encoder", "--name", "frozen")
    assert trained.code == 0, trained.err
    model = read_checkpoint(tmp_path / "runs/frozen/best.pt", ["model"])["model"]
    published = published_weights(parse_encoder(str(tiny_dinov2)))
    assert all(torch.equal(model[f"encoder.network.{name}"], value) for name, value in published.items())


def test_maps_of_attention_and_attribution_lie_on_the_grid_of_patches(tiny_dinov2: Path) -> None:
    spec = NetworkSpec(str(tiny_dinov2), 3, 8, DecoderSize(1, 2, 32, 32, 0.0))
    network = Network(spec, torch.randn(3, 8)).eval()
    images = torch.randn(1, 1, 32, 32)
    attention = attention_map(network, network.encode(images).detach())
    assert attention is not None
    assert attention.shape == (1, 3, 4, 4)
    assert torch.allclose(attention.sum(dim=(2, 3)), torch.ones(1, 3), atol=1e-5)
    assert attribution(network, images, [0, 2], "grad-cam").shape == (1, 2, 4, 4)
    assert attribution(network, images, [1], "integrated-gradients").shape == (1, 1, 32, 32)
