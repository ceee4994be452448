"""`--decoder transformer` computes what KAD does, written again here from its equations."""

import pytest
import torch
from torch import Tensor

from cxrlt_cli.model.decoder import DecoderSize
from cxrlt_cli.model.label_queries import LabelQueries
from cxrlt_cli.model.network import Network, NetworkSpec
from cxrlt_cli.model.transformer_decoder import TransformerLabelDecoder

SIZE = DecoderSize(layers=3, heads=4, width=16, feedforward=24, dropout=0.1)
Weights = dict[str, Tensor]


def _decoder(label_attention: bool = True, width: int = 16, kind: str = "text") -> TransformerLabelDecoder:
    torch.manual_seed(0)
    queries = LabelQueries(torch.randn(5, width), kind, SIZE.width)
    decoder = TransformerLabelDecoder(12, queries, SIZE, label_attention).eval()
    for (
        name,
        parameter,
    ) in decoder.named_parameters():  # larger than at the start, and each norm another, so that all of it counts
        if "queries.queries" not in name:
            torch.nn.init.normal_(parameter, 1.0 if name.endswith(("norm.weight", "1.weight")) else 0.0, 0.4)
    return decoder


def _norm(x: Tensor, weights: Weights, name: str) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    scaled = centred / (centred.pow(2).mean(dim=-1, keepdim=True) + 1e-5).sqrt()
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _linear(x: Tensor, weights: Weights, name: str) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _attention(asking: Tensor, asked: Tensor, weights: Weights, name: str) -> Tensor:
    """(C, W) and (P, W) to (C, W): head by head."""
    query, key, value = (
        x @ weight.T + bias
        for x, weight, bias in zip(
            (asking, asked, asked),
            weights[f"{name}.in_proj_weight"].chunk(3),
            weights[f"{name}.in_proj_bias"].chunk(3),
            strict=True,
        )
    )
    d = SIZE.width // SIZE.heads
    heads = []
    for start in range(0, SIZE.width, d):
        part = slice(start, start + d)
        heads.append(torch.softmax(query[:, part] @ key[:, part].T / d**0.5, dim=-1) @ value[:, part])
    return _linear(torch.cat(heads, dim=1), weights, f"{name}.out_proj")


def _by_equations(features: Tensor, queries: Tensor, weights: Weights, label_attention: bool) -> Tensor:
    """(channels, h, w) of one image and (C, W) queries to (C, W) label features."""
    hidden = _linear(features.flatten(1).T, weights, "project_features.0").clamp(min=0)
    v = _norm(_linear(hidden, weights, "project_features.2"), weights, "decoder.norm")
    q = _norm(queries, weights, "decoder.norm")
    for number in range(SIZE.layers):
        layer = f"decoder.layers.{number}"
        if label_attention:
            own = _norm(q, weights, f"{layer}.norm1")
            q = q + _attention(own, own, weights, f"{layer}.self_attn")
        q = q + _attention(_norm(q, weights, f"{layer}.norm2"), v, weights, f"{layer}.multihead_attn")
        hidden = _linear(_norm(q, weights, f"{layer}.norm3"), weights, f"{layer}.linear1").clamp(min=0)
        q = q + _linear(hidden, weights, f"{layer}.linear2")
    return _norm(q, weights, "decoder.norm")


@pytest.mark.parametrize("label_attention", [True, False])
def test_label_features_are_those_of_the_published_equations(label_attention: bool) -> None:
    decoder, features = _decoder(label_attention), torch.randn(2, 12, 3, 4)
    with torch.no_grad():
        weights = dict(decoder.state_dict())
        expected = torch.stack([_by_equations(image, decoder.queries(), weights, label_attention) for image in features])
        torch.testing.assert_close(decoder(features), expected, rtol=1e-5, atol=1e-5)


def test_text_of_another_width_is_projected() -> None:
    decoder, features = _decoder(width=10), torch.randn(2, 12, 3, 4)
    with torch.no_grad():
        weights = dict(decoder.state_dict())
        queries = _linear(decoder.queries(), weights, "project_queries")
        expected = torch.stack([_by_equations(image, queries, weights, True) for image in features])
        torch.testing.assert_close(decoder(features), expected, rtol=1e-5, atol=1e-5)
    assert not list(_decoder(width=16).project_queries.parameters())
    assert not list(_decoder(width=10, kind="learned").project_queries.parameters())


def test_label_features_are_dropped_out_in_training_only() -> None:
    decoder, features = _decoder(), torch.randn(2, 12, 3, 4)
    assert torch.equal(decoder(features), decoder(features))
    found = decoder.train()(features)
    assert (found == 0).float().mean() == pytest.approx(0.1, abs=0.08)


@pytest.mark.parametrize("classifier", ["separate", "shared"])
def test_weights_start_as_in_the_published_code(classifier: str) -> None:
    torch.manual_seed(0)
    size = DecoderSize(layers=2, heads=4, width=128, feedforward=256)
    spec = NetworkSpec("timm:test_convnext", 40, 8, size, "text", classifier, kind="transformer")  # type: ignore[arg-type]
    network = Network(spec, torch.randn(40, 8))
    named = dict(network.named_parameters())
    drawn = [value for name, value in named.items() if name.startswith("decoder.decoder.layers") and value.dim() > 1]
    drawn += [value for name, value in named.items() if name.startswith("classifier.") and value.dim() > 1]
    assert len(drawn) == 2 * 6 + 1
    for value in drawn:
        assert value.detach().std().item() == pytest.approx(0.02, rel=0.2 if value.numel() < 1000 else 0.05)
    attention = [value for name, value in named.items() if name.endswith(("in_proj_bias", "out_proj.bias"))]
    assert len(attention) == 8
    assert not any(value.any() for value in attention)
    assert not torch.equal(named["decoder.decoder.layers.0.linear1.weight"], named["decoder.decoder.layers.1.linear1.weight"])
    assert named["decoder.project_features.0.weight"].shape == (64, 64)
