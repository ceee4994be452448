"""The head of CheXFound, against its equations."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TRAIN, Run
from torch import Tensor

from cxrlt_cli.artifacts.run import read_checkpoint
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.model.decoder import DecoderSize
from cxrlt_cli.model.glori import Glori
from cxrlt_cli.model.network import network_from
from cxrlt_cli.model.study_fusion import StudyFusion
from cxrlt_cli.options import select
from cxrlt_cli.train.build import make_network
from cxrlt_cli.train.settings import NetworkSettings

SIZE = DecoderSize(layers=1, heads=2, width=8, feedforward=12, dropout=0.1)


def _head() -> Glori:
    torch.manual_seed(0)
    head = Glori(6, 4, SIZE).eval()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, 0.2, 0.5)
    return head


def _norm(x: Tensor, norm: torch.nn.LayerNorm) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    return centred / (centred.pow(2).mean(dim=-1, keepdim=True) + 1e-5).sqrt() * norm.weight + norm.bias


def _by_equations(head: Glori, image: Tensor) -> Tensor:
    """(channels, h, w) to (C, channels + width)."""
    layer, attention = head.layers[0], head.layers[0].attention
    v = (image.flatten(1).T @ head.project.weight.T + head.project.bias).clamp(min=0)
    q = _norm(head.queries + head.queries, layer.norm1)
    query, key, value = (
        x @ weight.T + bias
        for x, weight, bias in zip((q, v, v), attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3), strict=True)
    )
    heads = [
        torch.softmax(query[:, part] @ key[:, part].T / 4**0.5, dim=1) @ value[:, part] for part in (slice(0, 4), slice(4, 8))
    ]
    q = _norm(q + torch.cat(heads, dim=1) @ attention.out_proj.weight.T + attention.out_proj.bias, layer.norm2)
    hidden = (q @ layer.linear1.weight.T + layer.linear1.bias).clamp(min=0)
    q = _norm(q + hidden @ layer.linear2.weight.T + layer.linear2.bias, layer.norm3)
    return torch.cat([image.mean(dim=(1, 2)).expand(4, -1), q], dim=1)


def test_label_features_are_those_of_the_published_equations() -> None:
    head, features = _head(), torch.randn(3, 6, 2, 5)
    with torch.no_grad():
        expected = torch.stack([_by_equations(head, image) for image in features])
        torch.testing.assert_close(head(features), expected, rtol=1e-5, atol=1e-5)


def test_sizes_and_start_are_as_published() -> None:
    network, spec = make_network(
        select(NetworkSettings, TrainConfig(encoder="timm:test_convnext", queries="glori")),
        np.zeros((300, 5), dtype=np.float32),
    )
    assert spec.decoder == DecoderSize(layers=1, heads=8, width=768, feedforward=2048, dropout=0.1)
    assert network.label_width == 64 + 768
    weight = network.classifier.weight.detach()
    assert weight.shape == (300, 832)
    assert weight.std().item() == pytest.approx((2 / (300 + 832)) ** 0.5, rel=0.02)
    assert not network.classifier.bias.any()
    assert network.decoder.queries.std().item() == pytest.approx(1, rel=0.02)
    assert "decoder.queries" not in dict(network.named_parameters())


def test_fusion_takes_its_label_features() -> None:
    """Untrained fusion is the mean of the logits of a study's images."""
    network, _ = make_network(
        select(NetworkSettings, TrainConfig(encoder="timm:test_convnext", queries="glori")), np.zeros((3, 5), dtype=np.float32)
    )
    images = torch.randn(3, 1, 64, 64)
    fusion, studies = StudyFusion(3, network.label_width, network.classifier), torch.tensor([0, 0, 1])
    with torch.no_grad():
        logits = network.eval()(images)
        expected = torch.stack([logits[:2].mean(dim=0), logits[2]])
        torch.testing.assert_close(fusion(network.label_features(images), studies), expected)


def test_a_run_is_trained_and_read_again(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    ended = cxrlt(*TRAIN, "--epochs", "1", "--queries", "glori", "--name", "glori")
    assert ended.code == 0, ended.err
    content = read_checkpoint(tmp_path / "runs/glori/best.pt", ["model", "spec", "classes"])
    network = network_from(content, tmp_path / "runs/glori/best.pt")
    assert isinstance(network.decoder, Glori)
    assert torch.equal(network.decoder.queries, content["model"]["decoder.queries"])


@pytest.mark.parametrize(
    "flags",
    [{"decoder": "transformer"}, {"label_attention": "off"}, {"decoder_positions": "sine"}, {"classifier": "shared"}],
    ids=str,
)
def test_flags_of_other_decoders_have_no_effect_and_are_errors(flags: dict[str, str]) -> None:
    with pytest.raises(UserError, match="has no effect"):
        TrainConfig(queries="glori", **flags)  # type: ignore[arg-type]


def test_sine_positions_need_a_width_of_whole_quarters() -> None:
    with pytest.raises(UserError, match="multiple of 4"):
        TrainConfig(decoder_width=30, decoder_heads=2, decoder_positions="sine")
