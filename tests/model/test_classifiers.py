"""Heads of the network."""

import pytest
import torch

from cxrlt_cli.model.classifiers import (
    ClassSpecificResidualAttention,
    PooledLinear,
    PooledMlps,
    SeparateClassifiers,
    SeparateMlps,
    SharedClassifier,
)
from cxrlt_cli.model.decoder import DecoderSize
from cxrlt_cli.model.network import Network, NetworkSpec

SIZE = DecoderSize(layers=2, heads=2, width=16, feedforward=16)
FEATURES = torch.randn(3, 4, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("head", [SeparateClassifiers(4, 16), SeparateMlps(4, 16)])
def test_separate_heads_judge_only_their_own_label(head: torch.nn.Module) -> None:
    before = head(FEATURES)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter[2] += 1
    assert (head(FEATURES) != before).any(dim=0).tolist() == [False, False, True, False]


def test_separate_mlps_are_two_linear_layers_each() -> None:
    head = SeparateMlps(4, 16)
    torch.nn.init.normal_(head.bias)
    for label in range(4):
        hidden = torch.relu(FEATURES[:, label] @ head.weight[label] + head.bias[label])
        torch.testing.assert_close(head(FEATURES)[:, label], hidden @ head.last.weight[label] + head.last.bias[label])


def test_an_mlp_per_label_on_pooled_features_starts_as_the_linear_head() -> None:
    head = PooledMlps(16, 4)
    features = torch.randn(3, 16, 5, 5, generator=torch.Generator().manual_seed(0))
    linear = features.mean(dim=(2, 3)) @ head.linear.weight.T + head.linear.bias
    torch.testing.assert_close(head(features), linear)
    with torch.no_grad():
        head.mlps.last.weight[2] += 1
    changed = (head(features) - linear).abs() > 1e-4
    assert changed.any(dim=0).tolist() == [False, False, True, False]
    same = Network(NetworkSpec("timm:test_resnet", 4, 16, SIZE, "none", "mlp"), torch.zeros(4, 16))
    assert any(isinstance(part, PooledMlps) for part in same.modules()), "--queries none --classifier mlp"


def test_the_shared_head_judges_all_labels_alike() -> None:
    same = FEATURES[:, :1].expand(-1, 4, -1)
    logits = SharedClassifier(16)(same)
    assert logits.shape == (3, 4)
    torch.testing.assert_close(logits, logits[:, :1].expand(-1, 4))


def test_pooling_is_a_mean() -> None:
    features = torch.randn(2, 6, 3, 3)
    head = PooledLinear(6, 4)
    torch.testing.assert_close(head(features), head.linear(features.flatten(2).mean(2)))


def test_csra_by_hand() -> None:
    """One channel: scores are the features, 0 and ln 3, attended 1 : 3; their mean ln 3 / 2, plus 0.1 of 3/4 ln 3."""
    head = ClassSpecificResidualAttention(1, 1)
    torch.nn.init.constant_(head.scores.weight, 2.0)
    ln3 = torch.tensor(3.0).log()
    found = head(torch.tensor([[[[0.0, float(ln3)]]]]))
    torch.testing.assert_close(found, (ln3 / 2 + 0.1 * 0.75 * ln3).view(1, 1))


@pytest.mark.parametrize(("share", "temperature"), [(0.1, 1.0), (0.4, 5.0), (0.3, 99)])
def test_csra_is_as_published(share: float, temperature: float) -> None:
    """The mean of a class's scores by a weight of length 1, and a share of their softmax-weighted sum; T = 99: maximum."""
    torch.manual_seed(0)
    features, head = torch.randn(2, 6, 3, 4), ClassSpecificResidualAttention(6, 5, share, temperature)
    for image, logits in zip(features, head(features), strict=True):
        for weight, logit in zip(head.scores.weight.flatten(1), logits, strict=True):
            scores = (image * (weight / weight.pow(2).sum().sqrt())[:, None, None]).sum(dim=0).flatten()
            weights = (scores * temperature).exp() / (scores * temperature).exp().sum()
            attended = scores.max() if temperature == 99 else (weights * scores).sum()
            torch.testing.assert_close(logit, scores.mean() + share * attended)


@pytest.mark.parametrize("label_attention", [True, False])
@pytest.mark.parametrize(
    ("queries", "kind"),
    [
        ("text", "residual"),
        ("tuned", "residual"),
        ("learned", "residual"),
        ("text", "transformer"),
        ("learned", "transformer"),
        ("glori", "residual"),
        ("none", "residual"),
        ("csra", "residual"),
    ],
)
def test_a_prediction_does_not_depend_on_its_neighbours_in_the_batch(queries: str, kind: str, label_attention: bool) -> None:
    torch.manual_seed(0)
    spec = NetworkSpec("timm:test_resnet", 4, 8, SIZE, queries, "separate", label_attention, kind=kind)  # type: ignore[arg-type]
    network = _shaken(Network(spec, torch.randn(4, 8)))
    images = torch.randn(3, 1, 64, 64)
    with torch.no_grad():
        together, alone = network(images), torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["residual", "transformer", "transformer-1"])
def test_without_label_attention_a_label_does_not_see_the_others(kind: str) -> None:
    """Another query for label 0 changes the logits of all labels where labels attend to each other, else its own alone."""
    for label_attention in (True, False):
        torch.manual_seed(0)
        spec = NetworkSpec("timm:test_resnet", 4, 8, SIZE, "text", "separate", label_attention, kind=kind)  # type: ignore[arg-type]
        network = _shaken(Network(spec, torch.randn(4, 8)))
        images = torch.randn(2, 1, 64, 64)
        with torch.no_grad():
            before = network(images)
            network.decoder.queries.queries[0] = torch.randn(8)  # type: ignore[index, operator, union-attr]
            changed = ((network(images) - before).abs() / before.abs().max()).amax(dim=0) > 1e-6
        assert changed.tolist() == [True, *[label_attention] * 3]


@pytest.mark.parametrize("kind", ["residual", "transformer"])
@pytest.mark.parametrize(("queries", "learned"), [("text", False), ("tuned", True), ("learned", True)])
def test_which_queries_are_learned(queries: str, learned: bool, kind: str) -> None:
    spec = NetworkSpec("timm:test_resnet", 4, 8, SIZE, queries, kind=kind)  # type: ignore[arg-type]
    network = Network(spec, torch.randn(4, 8))
    assert ("decoder.queries.queries" in dict(network.named_parameters())) == learned
    assert "decoder.queries.queries" in network.state_dict()


def _shaken(network: Network) -> Network:
    """In evaluation form, with random weights in place of those of the decoder that start at 0."""
    with torch.no_grad():
        for name, parameter in network.decoder.named_parameters():
            if "queries" not in name:
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return network.eval()
