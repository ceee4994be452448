"""Where a query looked: the decoder's own weights, and what follows from them over its layers."""

import pytest
import torch
from torch import Tensor

from cxrlt_cli.inference.attention import Layer, looked_at, rollout
from cxrlt_cli.model.decoder import DecoderSize
from cxrlt_cli.model.network import Network, NetworkSpec, Queries


def _network(queries: Queries = "text", label_attention: bool = True, layers: int = 2) -> Network:
    torch.manual_seed(0)
    size = DecoderSize(layers, 2, 16, 32)
    spec = NetworkSpec("resnet18", 3, 12, size, queries, label_attention=label_attention)
    return Network(spec, torch.randn(3, 12)).eval()


def _by_hand(network: Network, features: Tensor) -> Tensor:
    """(B, C, P): softmax(q k / sqrt(d)) of the only layer, mean over its heads."""
    decoder = network.decoder
    layer = decoder.decoder.layers[0]
    patches = decoder.project_features(features.flatten(2).transpose(1, 2))
    labels = decoder._projected().expand(len(features), -1, -1)
    if hasattr(layer, "self_attn"):
        own = layer.norm1(labels)
        labels = labels + layer.self_attn(own, own, own)[0]
    attention = layer.multihead_attn
    query_weight, key_weight, _ = attention.in_proj_weight.chunk(3)
    query_bias, key_bias, _ = attention.in_proj_bias.chunk(3)
    query = (layer.norm2(labels) @ query_weight.T + query_bias).unflatten(2, (2, 8)).transpose(1, 2)
    key = (patches @ key_weight.T + key_bias).unflatten(2, (2, 8)).transpose(1, 2)
    return torch.softmax(query @ key.transpose(2, 3) / 8**0.5, dim=3).mean(dim=1)


@pytest.mark.parametrize("label_attention", [True, False])
def test_attention_is_what_the_layer_computes(label_attention: bool) -> None:
    network = _network(label_attention=label_attention, layers=1)
    features = torch.randn(2, 512, 3, 4).relu()
    found = looked_at(network, features)
    assert found is not None
    assert found.shape == (2, 3, 3, 4)
    with torch.no_grad():
        assert torch.allclose(found.flatten(2), _by_hand(network, features), atol=1e-6)
        assert torch.allclose(found, looked_at(network, features, "rollout"), atol=1e-6)  # type: ignore[arg-type] # one layer


def test_asking_changes_nothing() -> None:
    network, features = _network(), torch.randn(2, 512, 3, 3)
    with torch.no_grad():
        before = network.judge(features)
        looked_at(network, features)
        assert torch.equal(network.judge(features), before)


@pytest.mark.parametrize("queries", ["none", "csra"])
def test_without_queries_there_is_no_attention(queries: Queries) -> None:
    assert looked_at(_network(queries), torch.randn(1, 512, 2, 2)) is None


def test_rollout_by_hand() -> None:
    """Two labels, two patches; label 0 of layer 2 takes half of label 1, which had looked at the second patch.

    After layer 1 (labels have nothing yet to give): R = [[1/2, 0], [0, 1/2]]. In layer 2, labels: (R + A R) / 2 with
    A = [[1/2, 1/2], [0, 1]]: [[3/8, 1/8], [0, 1/2]]; patches, evenly looked at: [[7/16, 5/16], [1/4, 1/2]].
    """
    eye = torch.eye(2).unsqueeze(0)
    first = Layer(eye, eye)
    second = Layer(torch.tensor([[[0.5, 0.5], [0.0, 1.0]]]), torch.full((1, 2, 2), 0.5))
    expected = torch.tensor([[7 / 12, 5 / 12], [1 / 3, 2 / 3]])
    assert torch.allclose(rollout([first, second])[0], expected)
