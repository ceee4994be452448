"""Where a query looked: the decoder's own weights, and what follows from them over its layers."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cxrlt_cli.explain.attention import Layers, attention_map, rollout
from cxrlt_cli.model.decoder import DecoderSize, LayerAttention, sine_positions
from cxrlt_cli.model.network import Decoder, Network, NetworkSpec, Queries

TRANSFORMERS: list[Decoder] = ["transformer", "transformer-1"]
DECODERS: list[Decoder] = ["residual", *TRANSFORMERS]


def _network(
    kind: Decoder = "residual", queries: Queries = "text", label_attention: bool = True, layers: int = 2, sine: bool = False
) -> Network:
    """A network whose decoder has random weights in place of those that start at 0."""
    torch.manual_seed(0)
    size = DecoderSize(layers, 2, 16, 32, positions=sine)
    spec = NetworkSpec("resnet18", 3, 12, size, queries, label_attention=label_attention, kind=kind)
    network = Network(spec, torch.randn(3, 12)).eval()
    with torch.no_grad():
        for name, parameter in network.decoder.named_parameters():
            if "queries" not in name:
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return network


def _heads(x: Tensor) -> Tensor:
    """(…, N, 16) to (…, 2, N, 8)."""
    return x.unflatten(-1, (2, 8)).transpose(-3, -2)


def _by_hand(network: Network, features: Tensor) -> Tensor:
    """(B, C, P): softmax(q k / sqrt(d)) of the only layer of a transformer, mean over its heads."""
    decoder, kad = network.decoder, hasattr(network.decoder, "dropout")
    norm, layer = decoder.decoder.norm if kad else torch.nn.Identity(), decoder.decoder.layers[0]
    patches = norm(decoder.project_features(features.flatten(2).transpose(1, 2)))
    labels = norm(decoder.project_queries(decoder.queries())).expand(len(features), -1, -1)
    if hasattr(layer, "self_attn"):
        own = layer.norm1(labels)
        labels = labels + layer.self_attn(own, own, own)[0]
    attention = layer.multihead_attn
    query_weight, key_weight, _ = attention.in_proj_weight.chunk(3)
    query_bias, key_bias, _ = attention.in_proj_bias.chunk(3)
    query, key = _heads(layer.norm2(labels) @ query_weight.T + query_bias), _heads(patches @ key_weight.T + key_bias)
    return torch.softmax(query @ key.transpose(2, 3) / 8**0.5, dim=3).mean(dim=1)


@pytest.mark.parametrize("kind", TRANSFORMERS)
@pytest.mark.parametrize("label_attention", [True, False])
def test_attention_is_what_the_layer_computes(kind: Decoder, label_attention: bool) -> None:
    network = _network(kind, label_attention=label_attention, layers=1)
    features = torch.randn(2, 512, 3, 4).relu()
    found = attention_map(network, features)
    assert found is not None
    assert found.shape == (2, 3, 3, 4)
    with torch.no_grad():
        assert torch.allclose(found.flatten(2), _by_hand(network, features), atol=1e-6)
        assert torch.allclose(found, attention_map(network, features, "rollout"), atol=1e-6)  # type: ignore[arg-type] # one layer


@pytest.mark.parametrize("sine", [False, True])
def test_attention_of_the_residual_decoder_is_what_weighs_the_features(sine: bool) -> None:
    network, features = _network(layers=1, sine=sine), torch.randn(2, 512, 3, 4).relu() / 10
    layer, found = network.decoder.layers[0], attention_map(network, features)
    assert found is not None
    with torch.no_grad():
        key = layer.look.key(features.flatten(2).transpose(1, 2))
        key = key + sine_positions(3, 4, 16) if sine else key
        unit = functional.normalize(network.decoder.queries(), dim=1)  # queries attend with length 1
        query = _heads(layer.look.ask(unit))
        weights = torch.softmax(query @ _heads(key).transpose(2, 3) / 8**0.5, dim=3).mean(dim=1)
        torch.testing.assert_close(found.flatten(2), weights)
        layer.found.weight.zero_()
        layer.found.bias.zero_()
        pooled = torch.einsum("bchw,bdhw->bcd", found, features)
        torch.testing.assert_close(network.decoder(features), pooled, rtol=1e-4, atol=1e-5)


def test_attention_of_glori_is_the_mean_of_its_heads() -> None:
    network, features = _network(queries="glori", layers=1), torch.randn(2, 512, 3, 4).relu() / 10
    layer, found = network.decoder.layers[0], attention_map(network, features)
    assert found is not None
    with torch.no_grad():
        patches = network.decoder.project(features.flatten(2).transpose(1, 2)).relu()
        query_weight, key_weight, _ = layer.attention.in_proj_weight.chunk(3)
        query_bias, key_bias, _ = layer.attention.in_proj_bias.chunk(3)
        query = _heads(layer.norm1(2 * network.decoder.queries) @ query_weight.T + query_bias)
        scores = query @ _heads(patches @ key_weight.T + key_bias).transpose(2, 3)
        torch.testing.assert_close(found.flatten(2), torch.softmax(scores / 8**0.5, dim=3).mean(dim=1))


@pytest.mark.parametrize("layers", ["last", "rollout"])
@pytest.mark.parametrize("kind", DECODERS)
def test_each_map_sums_to_1_and_is_of_its_own_image(kind: Decoder, layers: Layers) -> None:
    network, features = _network(kind, layers=3), torch.randn(3, 512, 3, 4).relu()
    found = attention_map(network, features, layers)
    assert found is not None
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.sum(dim=(2, 3)), torch.ones(3, 3))
    torch.testing.assert_close(attention_map(network, features[1:2], layers), found[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", DECODERS)
def test_asking_changes_nothing(kind: Decoder) -> None:
    network, features = _network(kind), torch.randn(2, 512, 3, 3)
    with torch.no_grad():
        before = network.classify(features)
        attention_map(network, features)
        assert torch.equal(network.classify(features), before)


@pytest.mark.parametrize("queries", ["none", "csra"])
def test_without_queries_there_is_no_attention(queries: Queries) -> None:
    assert attention_map(_network(queries=queries), torch.randn(1, 512, 2, 2)) is None


def test_rollout_by_hand() -> None:
    """Two labels, two patches; label 0 of layer 2 takes half of label 1, which had looked at the second patch.

    After layer 1 (labels have nothing yet to give): R = [[1/2, 0], [0, 1/2]]. In layer 2, labels: (R + A R) / 2 with
    A = [[1/2, 1/2], [0, 1]]: [[3/8, 1/8], [0, 1/2]]; patches, evenly looked at: [[7/16, 5/16], [1/4, 1/2]].
    """
    eye = torch.eye(2).unsqueeze(0)
    first = LayerAttention(eye, eye)
    second = LayerAttention(torch.tensor([[[0.5, 0.5], [0.0, 1.0]]]), torch.full((1, 2, 2), 0.5))
    expected = torch.tensor([[7 / 12, 5 / 12], [1 / 3, 2 / 3]])
    assert torch.allclose(rollout([first, second])[0], expected)
