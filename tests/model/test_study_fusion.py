"""Fusion of the images of a study: what it may not depend on, and that it learns."""

import pytest
import torch

from cxrlt_cli.model.classifiers import SeparateClassifiers
from cxrlt_cli.model.study_fusion import StudyFusion
from cxrlt_cli.tricks.bce import bce

CLASSES, WIDTH = 3, 8


def _fusion(trained: bool = True) -> StudyFusion:
    torch.manual_seed(0)
    fusion = StudyFusion(CLASSES, WIDTH, SeparateClassifiers(CLASSES, WIDTH), hidden=5)
    if trained:
        torch.nn.init.normal_(fusion.attention)
    return fusion


def _features(count: int) -> torch.Tensor:
    return torch.randn(count, CLASSES, WIDTH, generator=torch.Generator().manual_seed(1))


def test_by_hand() -> None:
    """The formula of the docstring, number by number."""
    fusion, features = _fusion(), _features(3)
    asked = torch.tanh(fusion.value(features)) * torch.sigmoid(fusion.gate(features))
    for c in range(CLASSES):
        grown = [torch.exp(asked[k, c] @ fusion.attention[c]).item() for k in range(3)]
        fused = sum(one / sum(grown) * features[k, c] for k, one in enumerate(grown))
        expected = fused @ fusion.classifier.weight[c] + fusion.classifier.bias[c]
        assert fusion(features, torch.zeros(3, dtype=torch.int64))[0, c].item() == pytest.approx(expected.item(), abs=1e-6)


def test_untrained_it_is_the_mean_of_the_images_logits() -> None:
    fusion, features = _fusion(trained=False), _features(4)
    expected = fusion.classifier(features).mean(dim=0)
    assert torch.allclose(fusion(features, torch.zeros(4, dtype=torch.int64))[0], expected, atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_the_order_of_images_is_nothing(count: int) -> None:
    fusion, features, one = _fusion(), _features(count), torch.zeros(count, dtype=torch.int64)
    turned = torch.randperm(count, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(fusion(features, one), fusion(features[turned], one), atol=1e-6)
    if count == 1:
        assert torch.allclose(fusion(features, one)[0], fusion.classifier(features)[0], atol=1e-6)


def test_no_study_looks_at_another() -> None:
    fusion, features, studies = _fusion(), _features(5).requires_grad_(), torch.tensor([1, 0, 1, 2, 1])
    together = fusion(features, studies)
    for study, rows in enumerate(([1], [0, 2, 4], [3])):
        alone = fusion(features[rows], torch.zeros(len(rows), dtype=torch.int64))
        assert torch.allclose(together[study], alone[0], atol=1e-6)
    (reached,) = torch.autograd.grad(together[1].sum(), features)
    assert (reached.abs().sum(dim=(1, 2)) > 0).tolist() == [True, False, True, False, True]
    assert torch.equal(
        fusion.image_weights(features, studies) > 0, (torch.arange(3)[:, None] == studies)[:, :, None].expand(-1, -1, 3)
    )


def test_it_learns_which_image_tells() -> None:
    """One image of each pair carries the label in feature 0 and a mark in feature 1; the other carries noise three times it."""
    draws = torch.Generator().manual_seed(3)
    labels = (torch.rand(200, CLASSES, generator=draws) < 0.5).float()
    features = torch.zeros(400, CLASSES, WIDTH)
    features[::2, :, 0] = 2 * labels - 1
    features[::2, :, 1] = 1.0
    features[1::2, :, 0] = 3 * torch.randn(200, CLASSES, generator=draws)
    studies = torch.arange(400) // 2
    fusion = _fusion(trained=False)
    optimizer = torch.optim.AdamW(fusion.parameters(), lr=0.03)
    for _ in range(150):
        optimizer.zero_grad()
        bce(fusion(features, studies), labels).mean().backward()
        optimizer.step()
    shares = fusion.image_weights(features, studies)[studies, torch.arange(400)]
    assert shares[::2].mean() > 0.9
    right = ((fusion(features, studies) > 0) == labels.bool()).float().mean()
    by_mean = ((features[:, :, 0].view(200, 2, CLASSES).mean(dim=1) > 0) == labels.bool()).float().mean()
    assert right > 0.99
    assert by_mean < 0.8
