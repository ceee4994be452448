"""Networks of other families as programs of torch.export: an EfficientNet, a vision transformer, and their decoders."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from timm.models import register_model
from torch import Tensor, nn

from cxrlt_cli.errors import UserError
from cxrlt_cli.model.decoder import DecoderSize
from cxrlt_cli.model.network import Network, NetworkSpec
from cxrlt_cli.predict.members import Member
from cxrlt_cli.share.formats import onnx_bytes, onnx_scores
from cxrlt_cli.share.graph import ScoringGraph, program_of

SIZE, CLASSES = 32, ["a", "b", "c"]
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@register_model
def one_block_vit(**given: Any) -> nn.Module:
    """The first of six equal blocks: each takes seconds to export."""
    return timm.create_model("test_vit", depth=1, **given)


def _member(encoder: str, seed: int, **parts: Any) -> Member:
    torch.manual_seed(seed)
    spec = NetworkSpec(encoder, len(CLASSES), 8, DecoderSize(1, 2, 16, 16), **parts)
    network = Network(spec, torch.randn(len(CLASSES), 8)).eval()
    return Member(encoder, Path(), network, CLASSES, {"size": SIZE}, np.arange(len(CLASSES)), config=None)  # type: ignore[arg-type]


@pytest.fixture
def members() -> list[Member]:
    """An EfficientNet with the transformer decoder and a vision transformer with GLoRI, as an ensemble."""
    return [_member("timm:test_efficientnet", 1, kind="transformer"), _member("timm:one_block_vit", 2, queries="glori")]


def test_these_are_exported_for_any_number_of_images(members: list[Member]) -> None:
    graph = ScoringGraph(members, "logits").eval()
    images = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE), dtype=np.uint8)
    with torch.inference_mode():
        expected = graph(torch.from_numpy(images)).numpy()
    program = program_of(graph, SIZE)
    module = program.module()
    for count in (1, 5):
        with torch.inference_mode():
            found = module(torch.from_numpy(images[:count])).numpy()
        assert np.allclose(found, expected[:count], atol=1e-5)
    if all(find_spec(name) for name in PACKAGES):
        scores = onnx_scores(onnx_bytes(program, {}))
        for count in (1, 5):
            assert np.allclose(scores(images[:count]), expected[:count], atol=1e-4)


def test_a_network_that_torch_cannot_follow_is_refused() -> None:
    class Branching(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.float().mean((1, 2)) if images.sum() > 0 else images.float().sum((1, 2))

    with pytest.raises(UserError, match=r"torch\.export cannot follow the network"):
        program_of(Branching(), 8)  # type: ignore[arg-type]
