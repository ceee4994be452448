"""The label-query decoder and the separate classifiers."""

import torch
from torch.nn import functional

from cxrlt_cli.model.classifiers import SeparateClassifiers
from cxrlt_cli.model.decoder import DecoderSize, LabelQueryDecoder

SIZE = DecoderSize(layers=2, heads=2, width=16, feedforward=32)


def _decoder(classes: int = 5) -> LabelQueryDecoder:
    torch.manual_seed(0)
    return LabelQueryDecoder(8, torch.randn(classes, 12), SIZE).eval()


def test_one_vector_a_label() -> None:
    assert _decoder()(torch.randn(3, 8, 4, 4)).shape == (3, 5, 16)


def test_a_prediction_does_not_depend_on_its_neighbours() -> None:
    """Attention runs across labels and patches, never across the batch."""
    decoder, images = _decoder(), torch.randn(4, 8, 3, 3)
    whole = decoder(images)
    assert torch.allclose(whole[1:2], decoder(images[1:2]), atol=1e-5)
    other = images.clone()
    other[0] = 9.0
    assert torch.allclose(whole[1:], decoder(other)[1:], atol=1e-5)


def test_classes_move_with_their_queries() -> None:
    """The decoder has no order of labels: queries in another order give the same vectors in that order."""
    decoder, images, order = _decoder(), torch.randn(2, 8, 3, 3), torch.tensor([3, 0, 4, 1, 2])
    before = decoder(images)
    decoder.queries = decoder.queries[order]
    assert torch.allclose(decoder(images), before[:, order], atol=1e-5)


def test_queries_are_kept_as_they_are_and_saved() -> None:
    decoder = _decoder()
    assert not decoder.queries.requires_grad
    assert "queries" in decoder.state_dict()


def test_layers_start_different() -> None:
    first, second = (layer.linear1.weight for layer in _decoder().decoder.layers)
    assert not torch.equal(first, second)


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
