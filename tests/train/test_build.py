"""From flags to the optimizer, and training that goes on from an earlier run."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import CACHE, TRAIN, Run, classes_file

from cxrlt_cli.artifacts.run import read_checkpoint
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import select
from cxrlt_cli.train.build import make_network, make_optimizer
from cxrlt_cli.train.settings import NetworkSettings, OptimizerSettings
from cxrlt_cli.tricks.layer_decay import lr_scales

SMALL = {"encoder": "resnet18", "decoder_layers": 1, "decoder_width": 32, "decoder_feedforward": 32, "decoder_heads": 2}


def test_every_weight_is_learned_once_and_vectors_are_not_decayed() -> None:
    config = TrainConfig(**SMALL, layer_decay=0.5)
    network, _ = make_network(select(NetworkSettings, config), np.eye(3, 8, dtype=np.float32))
    groups = make_optimizer(select(OptimizerSettings, config), network).param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))
    for group in groups:
        assert all((parameter.dim() > 1) == (group["weight_decay"] > 0) for parameter in group["params"])
    scale = {id(parameter): group["scale"] for group in groups for parameter in group["params"]}
    assert scale[id(network.encoder.network.conv1.weight)] == 0.5**8
    assert scale[id(network.encoder.network.layer4[1].conv2.weight)] == 0.5
    assert scale[id(network.classifier.weight)] == 1.0


@pytest.mark.parametrize(("layer_decay", "first", "last"), [(1.0, 0.1, 0.1), (0.5, 0.1 * 0.5**8, 0.05)])
def test_the_encoders_rate_is_a_factor_of_the_rest(layer_decay: float, first: float, last: float) -> None:
    config = TrainConfig(**SMALL, encoder_lr=0.1, layer_decay=layer_decay)
    network, _ = make_network(select(NetworkSettings, config), np.eye(3, 8, dtype=np.float32))
    groups = make_optimizer(select(OptimizerSettings, config), network).param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))
    scale = {id(parameter): group["scale"] for group in groups for parameter in group["params"]}
    assert scale[id(network.encoder.network.conv1.weight)] == pytest.approx(first)
    assert scale[id(network.encoder.network.bn1.bias)] == pytest.approx(first)
    assert scale[id(network.encoder.network.layer4[1].conv2.weight)] == pytest.approx(last)
    others = [parameter for name, parameter in network.named_parameters() if not name.startswith("encoder.")]
    assert {scale[id(parameter)] for parameter in others} == {1.0}


@pytest.mark.parametrize("layer_decay", [1.0, 0.7])
def test_an_encoder_rate_of_one_leaves_the_groups_bit_equal(layer_decay: float) -> None:
    config = TrainConfig(**SMALL, layer_decay=layer_decay)
    network, _ = make_network(select(NetworkSettings, config), np.eye(3, 8, dtype=np.float32))
    alone = lr_scales(network.encoder.network, layer_decay)
    names = {id(parameter): name.removeprefix("encoder.network.") for name, parameter in network.named_parameters()}
    groups = make_optimizer(select(OptimizerSettings, config), network).param_groups
    assert len(groups) == (2 if layer_decay == 1 else 2 * (len(set(alone.values())) + 1))
    for group in groups:
        assert {alone.get(names[id(parameter)], 1.0) for parameter in group["params"]} == {group["scale"]}


@pytest.mark.parametrize("factor", [0.0, -1.0, float("inf"), float("nan")])
def test_a_rate_of_the_encoder_that_is_no_positive_number_is_refused(factor: float) -> None:
    with pytest.raises(UserError, match="--encoder-lr"):
        TrainConfig(encoder_lr=factor)
    with pytest.raises(UserError, match="--freeze encoder"):
        TrainConfig(freeze="encoder", weights="imagenet", encoder_lr=0.5)


def _model(run: Path) -> dict[str, torch.Tensor]:
    model: dict[str, torch.Tensor] = read_checkpoint(run / "last.pt", ["model"])["model"]
    return model


def test_classifier_retraining_leaves_the_encoder_as_it_was(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    """cRT (Kang et al., ICLR 2020): the classifier is learned anew on balanced draws, the features stay."""
    assert cxrlt(*TRAIN, "--name", "first").code == 0
    more = ("--weights", "runs/first", "--freeze", "encoder", "--sampling", "class-balanced", "--name", "second")
    ended = cxrlt(*TRAIN, "--epochs", "1", *more)
    assert ended.code == 0, ended.err
    first, second = read_checkpoint(tmp_path / "runs/first/best.pt", ["model"])["model"], _model(tmp_path / "runs/second")
    assert all(torch.equal(first[name], second[name]) for name in first if name.startswith("encoder."))
    assert not torch.equal(first["classifier.weight"], second["classifier.weight"])


def test_fine_tuning_at_a_larger_size_goes_on_from_all_weights(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    assert cxrlt(*TRAIN, "--name", "small").code == 0
    large = tmp_path / "large"
    cache = [*CACHE[:-3], "48", "--source", f"table={tmp_path / 'source/labels.csv'}", "--name", "pictures"]
    for command in (cache, ["merge", "--label-space", classes_file(tmp_path), "--split", "50,25,25"]):
        ended = cxrlt(*command, "--workspace", large)
        assert ended.code == 0, ended.err
    ended = cxrlt(
        *TRAIN, "--weights", tmp_path / "runs/small", "--lr", "1e-9", "--warmup", "0", "--epochs", "1", "--workspace", large,
        "--embeddings", tmp_path / "label_embeddings.parquet", "--name", "large",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "0 start at random" in ended.err
    before, after = read_checkpoint(tmp_path / "runs/small/best.pt", ["model"])["model"], _model(large / "runs/large")
    assert torch.allclose(before["classifier.weight"], after["classifier.weight"], atol=1e-5)
    assert json.loads((large / "runs/large/config.json").read_text())["pixels"]["size"] == 48


def test_tricks_compose(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    ended = cxrlt(
        *TRAIN, "--epochs", "1", "--stride", "16", "--layer-decay", "0.8", "--queries", "learned", "--classifier", "mlp",
        "--loss", "focal", "--label-smoothing", "0.1", "--logit-adjustment", "0.5", "--reweight", "tail:2,inverse-sqrt",
        "--source-weight", "pictures=2", "--sampling", "square-root", "--mixup", "0.2", "--cutmix", "1", "--mosaic", "0.5",
        "--blur", "0.3", "--noise", "0.3", "--erasing", "0.3", "--average", "ema:0.9", "--name", "all",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    history = [json.loads(line) for line in (tmp_path / "runs/all/history.jsonl").read_text().splitlines()]
    assert np.isfinite(history[0]["train_loss"])
