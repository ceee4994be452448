"""`--classifier text`: weights from the label's text."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cxrlt_cli.model.decoder import DecoderSize
from cxrlt_cli.model.label_queries import LabelQueries, whitening_of
from cxrlt_cli.model.network import Network, NetworkSpec
from cxrlt_cli.model.text_classifier import TextClassifier

SIZE = DecoderSize(layers=1, heads=2, width=16, feedforward=16)
SPEC = NetworkSpec("timm:test_resnet", 5, 12, SIZE, classifier="text", label_attention=False)


def _network(spec: NetworkSpec = SPEC) -> Network:
    """A network whose branches that start at 0 do something."""
    torch.manual_seed(0)
    network = Network(spec, torch.randn(spec.classes, spec.embedding))
    for name, parameter in network.named_parameters():
        if not name.startswith("encoder.") and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


def _with(network: Network, embeddings: torch.Tensor) -> Network:
    """The network for other labels, as `predict --labels` builds it."""
    spec = replace(SPEC, classes=len(embeddings))
    other = Network(spec, torch.zeros_like(embeddings))
    queries = dict.fromkeys(("decoder.queries.queries", "classifier.queries.queries"), embeddings)
    other.load_state_dict({**network.state_dict(), **queries})
    return other.eval()


def test_adding_and_removing_labels_leaves_every_other_score_bit_equal() -> None:
    network, images = _network(), torch.randn(6, 1, 64, 64)
    embeddings = network.decoder.queries.queries
    with torch.inference_mode():
        whole = network(images)
        assert whole.std() > 0
        for chosen in ([2], [4, 0], [0, 1, 3, 4]):
            assert torch.equal(_with(network, embeddings[chosen])(images), whole[:, chosen])
        more = _with(network, torch.cat([torch.randn(40, 12), embeddings]))(images)
    assert torch.equal(more[:, 40:], whole)


@pytest.mark.parametrize("kind", ["residual", "transformer"])
def test_labels_one_by_one_score_as_all_together(kind: str) -> None:
    network = _network(replace(SPEC, kind=kind))  # type: ignore[arg-type]
    with torch.inference_mode():
        features = network.encode(torch.randn(3, 1, 64, 64))
        together = network.classifier(network.decoder(features))
        assert torch.allclose(network.classify(features), together, atol=1e-5)


def _whitening(texts: np.ndarray) -> np.ndarray:
    """From the eigenvectors of the covariance."""
    centred = texts - texts.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(texts))
    values, vectors = values[-len(texts) + 1 :], vectors[:, -len(texts) + 1 :]  # n texts differ in n - 1 directions
    matrix = vectors @ np.diag((values + 0.1 * values.mean()) ** -0.5) @ vectors.T
    return np.asarray(matrix / np.sqrt(((centred @ matrix) ** 2).sum(axis=1).mean()))


def test_whitened_texts_are_unlike_and_what_no_trained_text_has_counts_nothing() -> None:
    texts = torch.nn.functional.normalize(torch.tensor([[1.0, 0, 0.1, 0], [1, 0, -0.1, 0], [1, 0.02, 0.1, 0]]), dim=1)
    centre, whitening = whitening_of(texts)
    assert np.allclose(whitening.numpy(), _whitening(texts.numpy().astype(np.float64)), atol=1e-4)
    found = (texts - centre) @ whitening
    assert found.square().sum(dim=1).mean().item() == pytest.approx(1, abs=1e-5)
    before = texts - centre
    cosine = torch.nn.functional.cosine_similarity
    assert cosine(before[0], before[2], dim=0) > 0.8
    assert cosine(found[0], found[2], dim=0) < 0.5
    new = torch.tensor([0.0, 0, 0, 1.0])
    assert torch.allclose(new @ whitening, torch.zeros(4), atol=1e-5)


def test_a_single_trained_label_is_not_whitened() -> None:
    centre, whitening = whitening_of(torch.tensor([[0.6, 0.8]]))
    assert torch.equal(whitening, torch.eye(2))
    assert torch.allclose(centre, torch.tensor([0.6, 0.8]))


def test_a_label_scores_by_the_formula() -> None:
    torch.manual_seed(0)
    embeddings = torch.randn(4, 6)
    queries = LabelQueries(embeddings, trained=torch.tensor([True, True, True, False]))
    classifier, features = TextClassifier(8, queries), torch.randn(2, 4, 8)
    torch.nn.init.normal_(classifier.bias.weight)
    unit = (embeddings / embeddings.norm(dim=1, keepdim=True)).numpy()
    text = (unit - unit[:3].mean(axis=0)) @ _whitening(unit[:3])
    found = classifier(features).detach().numpy()
    for label in range(4):
        weight = classifier.weights.weight.detach().numpy() @ text[label]
        bias = classifier.bias.weight.detach().numpy()[0] @ text[label]
        assert np.allclose(found[:, label], features[:, label].numpy() @ weight + bias, atol=1e-5)


def test_it_starts_as_a_linear_head_of_random_weights_of_the_usual_size() -> None:
    torch.manual_seed(0)
    queries = LabelQueries(torch.randn(30, 64), trained=torch.ones(30, dtype=torch.bool))
    classifier = TextClassifier(500, queries)
    weights = classifier.weights(queries() * 64**-0.5)
    usual = torch.nn.Linear(500, 30).weight
    assert weights.std().item() == pytest.approx(usual.std().item(), rel=0.1)
    features = torch.randn(2, 30, 500)
    assert torch.allclose(classifier(features), torch.einsum("bcw,cw->bc", features, weights), atol=1e-6)


def test_a_held_out_label_changes_nothing_for_the_trained_ones() -> None:
    torch.manual_seed(0)
    embeddings, trained = torch.randn(4, 6), torch.tensor([True, True, True, False])
    other = torch.cat([embeddings[:3], torch.randn(1, 6)])
    assert torch.equal(LabelQueries(embeddings, trained=trained)()[:3], LabelQueries(other, trained=trained)()[:3])
