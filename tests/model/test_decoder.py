"""The residual label decoder: it starts as a linear head, and each label's query then steers its vector."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.model.classifiers import SeparateClassifiers
from cxrlt_cli.model.decoder import DecoderSize, LabelQueryDecoder, sine_positions
from cxrlt_cli.model.label_queries import LabelQueries
from cxrlt_cli.model.network import Network
from cxrlt_cli.options import select
from cxrlt_cli.train.build import make_network
from cxrlt_cli.train.settings import NetworkSettings

CHANNELS = 8
EMBEDDINGS = torch.randn(5, 12, generator=torch.Generator().manual_seed(7))


def _decoder(
    layers: int = 1, kind: str = "text", sine: bool = False, label_attention: bool = True, embeddings: Tensor = EMBEDDINGS
) -> LabelQueryDecoder:
    """A decoder as it starts."""
    torch.manual_seed(0)
    size = DecoderSize(layers, heads=2, width=16, feedforward=32, positions=sine)
    return LabelQueryDecoder(CHANNELS, LabelQueries(embeddings, kind, 16), size, label_attention).eval()


def _trained(**options: Any) -> LabelQueryDecoder:
    """A decoder whose branches all count: random weights in place of those that start at 0."""
    decoder = _decoder(**options)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in decoder.named_parameters():
            if name != "queries.queries":
                parameter.normal_(std=0.5)
    return decoder


def _features(seed: int = 2, count: int = 3) -> Tensor:
    return torch.randn(count, CHANNELS, 3, 4, generator=torch.Generator().manual_seed(seed))


FORMS: list[dict[str, Any]] = [
    {},
    {"layers": 3},
    {"layers": 3, "label_attention": False},
    {"sine": True},
    {"layers": 3, "sine": True, "kind": "learned"},
    {"kind": "tuned"},
]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_at_the_start_each_vector_is_the_mean_and_attention_is_uniform(form: dict[str, Any]) -> None:
    decoder, features = _decoder(**form), _features()
    labels, attentions = decoder.attend(features)
    torch.testing.assert_close(labels, features.mean(dim=(2, 3))[:, None].expand(-1, 5, -1))
    assert len(attentions) == form.get("layers", 1)
    for attention in attentions:
        torch.testing.assert_close(attention.patches, torch.full((3, 5, 12), 1 / 12))
        if attention.labels is not None:
            torch.testing.assert_close(attention.labels, torch.full((3, 5, 5), 1 / 5))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_rows_of_attention_sum_to_1(form: dict[str, Any]) -> None:
    labels, attentions = _trained(**form).attend(_features())
    assert labels.shape == (3, 5, CHANNELS)
    between = [attention.labels for attention in attentions]
    assert [found is not None for found in between] == [
        form.get("label_attention", True) and n > 0 for n in range(len(between))
    ]
    for found in [attention.patches for attention in attentions] + [found for found in between if found is not None]:
        torch.testing.assert_close(found.sum(dim=2), torch.ones(3, 5))
        assert found.std(dim=2).min() > 1e-3


def _gradients(config: TrainConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits and the gradients of the encoder before the first step, in float64, where rounding does not hide a difference."""
    embeddings = np.random.default_rng(0).normal(size=(4, 12)).astype(np.float32)
    network, _ = make_network(select(NetworkSettings, config), embeddings)
    images = torch.randn(4, 1, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    logits = network.double()(images)
    functional.binary_cross_entropy_with_logits(logits, torch.eye(4, dtype=torch.float64)).backward()
    found = {name: parameter.grad for name, parameter in network.encoder.named_parameters()}
    assert all(gradient is not None for gradient in found.values())
    return logits.detach(), found  # type: ignore[return-value]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"encoder": "timm:test_resnet", "decoder_layers": 3, "decoder_positions": "sine", "seed": 4},
        {"encoder": "timm:test_resnet", "queries": "learned"},
        {"encoder": "timm:test_resnet", "queries": "tuned", "label_attention": "off", "decoder_layers": 2},
    ],
    ids=str,
)
def test_the_network_starts_as_the_linear_head_of_its_seed(options: dict[str, Any]) -> None:
    """Logits and the gradient of each encoder weight are those of `--queries none`."""
    plain = {name: value for name, value in options.items() if name in ("encoder", "seed")}
    logits, gradients = _gradients(TrainConfig(**options))
    expected, linear = _gradients(TrainConfig(**plain, queries="none"))
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-9)
    for name, gradient in linear.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-6, atol=1e-9 * float(gradient.abs().max()))


def test_all_of_the_decoder_learns_after_a_few_steps() -> None:
    """What starts at 0 lets the gradient through to what lies behind it."""
    decoder, classifiers = _decoder(layers=2, kind="tuned").train(), SeparateClassifiers(5, CHANNELS)
    learning: set[str] = set()
    optimizer = torch.optim.SGD([*decoder.parameters(), *classifiers.parameters()], lr=1.0)
    targets = torch.eye(5)[torch.arange(8) % 5]
    for _ in range(6):
        optimizer.zero_grad()
        functional.binary_cross_entropy_with_logits(classifiers(decoder(_features(count=8))), targets).backward()
        optimizer.step()
        learning |= {name for name, value in decoder.named_parameters() if value.grad is not None and value.grad.any()}
    assert learning == {name for name, _ in decoder.named_parameters()}


@pytest.mark.parametrize("form", [{}, {"layers": 3, "sine": True}], ids=str)
def test_a_label_vector_does_not_depend_on_other_images(form: dict[str, Any]) -> None:
    """Attention runs across labels and places, never across the batch."""
    decoder, features = _trained(**form), _features(count=4)
    whole = decoder(features)
    torch.testing.assert_close(whole[1:2], decoder(features[1:2]), rtol=1e-4, atol=1e-5)
    other = features.clone()
    other[0] = 9.0
    torch.testing.assert_close(whole[1:], decoder(other)[1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", [{}, {"layers": 3}], ids=str)
def test_classes_move_with_their_queries(form: dict[str, Any]) -> None:
    """The decoder has no order of labels: queries in another order give the same vectors in that order."""
    order, features = torch.tensor([3, 0, 4, 1, 2]), _features()
    moved = _trained(**form, embeddings=EMBEDDINGS[order])(features)
    torch.testing.assert_close(moved, _trained(**form)(features)[:, order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("form", "independent"),
    [({"layers": 1}, True), ({"layers": 3, "label_attention": False}, True), ({"layers": 3, "label_attention": True}, False)],
    ids=str,
)
def test_without_label_attention_a_label_does_not_depend_on_the_others(form: dict[str, Any], independent: bool) -> None:
    """Labels 1, 2 and 4 alone have the vectors that they have among all five."""
    kept, features = torch.tensor([1, 2, 4]), _features()
    alone = _trained(**form, embeddings=EMBEDDINGS[kept])(features)
    difference = (alone - _trained(**form)(features)[:, kept]).abs().max() / alone.abs().max()
    assert (difference.item() < 1e-6) == independent


@pytest.mark.parametrize("layers", [1, 3])
def test_places_have_an_order_only_with_sine_positions(layers: int) -> None:
    features = _features()
    turned = features.flip(3)
    for sine in (False, True):
        decoder = _trained(layers=layers, sine=sine)
        assert torch.allclose(decoder(features), decoder(turned), rtol=1e-4, atol=1e-5) != sine


def test_sine_positions_by_hand() -> None:
    """Two rows, one column: angles of y are pi/2 and 3/2 pi, that of x is pi; each as it is and divided by the root of 20."""
    y, x, slow = torch.tensor([0.5, 1.5]) * torch.pi, torch.tensor([1.0, 1.0]) * torch.pi, 20**-0.5
    expected = [y.sin(), (y * slow).sin(), y.cos(), (y * slow).cos(), x.sin(), (x * slow).sin(), x.cos(), (x * slow).cos()]
    torch.testing.assert_close(sine_positions(2, 1, 8), torch.stack(expected, dim=1))
    torch.testing.assert_close(sine_positions(2, 1, 4), torch.tensor([[1.0, 0, 0, -1], [-1, 0, 0, -1]]))


def test_sine_positions_run_along_rows_as_places_do() -> None:
    found = sine_positions(3, 5, 16).reshape(3, 5, 16)
    assert torch.equal(found[:, :1, :8].expand(-1, 5, -1), found[:, :, :8])
    assert torch.equal(found[:1, :, 8:].expand(3, -1, -1), found[:, :, 8:])
    assert len(found.flatten(0, 1).unique(dim=0)) == 15


@pytest.mark.parametrize(("kind", "learned"), [("text", False), ("tuned", True), ("learned", True)])
def test_which_queries_are_learned(kind: str, learned: bool) -> None:
    queries = LabelQueries(EMBEDDINGS, kind, 16)
    assert bool(list(queries.parameters())) == learned
    assert "queries" in queries.state_dict()
    assert queries().shape == (5, 16 if kind == "learned" else 12)


@pytest.mark.parametrize("kind", ["text", "tuned"])
def test_text_queries_have_unit_variance_at_any_scale(kind: str) -> None:
    found = LabelQueries(EMBEDDINGS * 1e-3, kind)()
    torch.testing.assert_close(found.pow(2).mean(dim=1), torch.ones(5))
    torch.testing.assert_close(found, LabelQueries(EMBEDDINGS * 50, kind)())


def test_each_label_has_a_classifier_of_its_own() -> None:
    torch.manual_seed(0)
    classifiers = SeparateClassifiers(5, 16)
    features = torch.randn(3, 5, 16)
    one_by_one = [
        functional.linear(features[:, c], classifiers.weight[c : c + 1], classifiers.bias[c : c + 1]) for c in range(5)
    ]
    assert torch.allclose(classifiers(features), torch.cat(one_by_one, dim=1), atol=1e-6)
    classifiers(features)[:, 2].sum().backward()
    assert classifiers.weight.grad is not None
    assert classifiers.weight.grad[2].abs().sum() > 0
    assert classifiers.weight.grad[[0, 1, 3, 4]].abs().sum() == 0


def test_a_network_with_queries_has_their_kind() -> None:
    network, _ = make_network(
        select(NetworkSettings, TrainConfig(encoder="timm:test_convnext")), np.eye(3, 8, dtype=np.float32)
    )
    assert isinstance(network, Network)
    assert isinstance(network.decoder, LabelQueryDecoder)
    assert network.label_width == network.encoder.channels
