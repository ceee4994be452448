"""Which part mattered: identities of the methods, and a network of which it is known what it depends on."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cxrlt_cli.explain.attention import attention_map
from cxrlt_cli.explain.attribution import Method, attribution, attributions, blurred, feature_contributions, grad_cam
from cxrlt_cli.explain.heatmap import enlarged, marked
from cxrlt_cli.model.classifiers import SeparateClassifiers
from cxrlt_cli.model.decoder import DecoderSize, LabelQueryDecoder
from cxrlt_cli.model.label_queries import LabelQueries
from cxrlt_cli.model.network import Network, NetworkSpec


def _pooled() -> Network:
    torch.manual_seed(0)
    return Network(NetworkSpec("resnet18", 3, 4, DecoderSize(), "none"), torch.zeros(3, 4)).eval()


def test_of_pooling_and_a_linear_layer_grad_cam_is_the_class_activation_map() -> None:
    """Selvaraju et al. show that it generalises CAM (Zhou et al., CVPR 2016): the weights of the layer times the map."""
    network, images = _pooled(), torch.randn(2, 1, 96, 96)
    with torch.no_grad():
        features = network.encode(images)
        weight = network.classifier.linear.weight[1] / features[0, 0].numel()
        expected = torch.einsum("k,bkhw->bhw", weight, features).clamp(min=0)
    assert torch.allclose(attribution(network, images, [2, 1], "grad-cam")[:, 1], expected, atol=1e-6)


def test_grad_cam_by_hand() -> None:
    """Channel weights are means of the slope over the map, 2 and -1/2; the slope is the score's weight at each place."""
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 0.0]]]])
    weight = torch.tensor([[[[1.0, 3.0]], [[-1.0, 0.0]]]])

    class Weighted(Network):
        def __init__(self) -> None:
            nn.Module.__init__(self)

        def classify(self, features: Tensor) -> Tensor:
            return (features * weight).sum(dim=(1, 2, 3)).unsqueeze(1)

    assert grad_cam(Weighted(), features, 0).tolist() == [[[0.5, 4.0]]]
    assert feature_contributions(Weighted(), features, torch.zeros_like(features), 0).round(decimals=5).tolist() == [
        [[-2.0, 6.0]]
    ]


def test_shares_of_the_features_sum_to_the_difference_of_the_scores(trained: Network) -> None:
    images, _, _ = _pictures(2, 1)
    with torch.no_grad():
        features, start = trained.encode(images), trained.encode(blurred(images, 8))
        difference = trained.classify(features)[:, 0] - trained.classify(start)[:, 0]
    contributions = feature_contributions(trained, features, start, 0, steps=300).sum(dim=(1, 2))
    assert torch.allclose(contributions, difference, atol=0.02 * float(difference.abs().max()))


def test_attributions_sum_to_the_difference_of_the_scores() -> None:
    """The axiom of completeness (Sundararajan et al., 2017)."""
    torch.manual_seed(0)
    network = Network(NetworkSpec("timm:test_resnet", 3, 4, DecoderSize(), "none"), torch.zeros(3, 4)).eval()
    images = torch.randn(1, 1, 64, 64)
    start = blurred(images, 8)
    with torch.no_grad():
        difference = network(images)[0, 1] - network(start)[0, 1]
    found = attributions(network, images, start, 1, steps=100).sum()
    assert float(found) == pytest.approx(float(difference), rel=0.01)


def test_blur_is_scipys() -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="scipy comes with scikit-learn")
    image = torch.rand(1, 1, 20, 30)
    expected = ndimage.gaussian_filter(image[0, 0].numpy(), 2.0, mode="nearest", radius=6)
    assert np.allclose(blurred(image, 2.0)[0, 0].numpy(), expected, atol=1e-6)


class _Squares(Network):
    """The decoder and classifiers on a small encoder of stride 8."""

    def __init__(self) -> None:
        super().__init__(NetworkSpec("resnet18", 2, 8, DecoderSize(1, 2, 32, 32, 0.0)), torch.eye(2, 8))
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 5, 4, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 32, 3, 1, 1), nn.ReLU()
        )  # type: ignore[assignment]
        self.label_width = 32
        self.classifier = SeparateClassifiers(2, 32)
        self.decoder = LabelQueryDecoder(32, LabelQueries(torch.eye(2, 8)), DecoderSize(1, 2, 32, 32, 0.0))


def _pictures(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noise with a bright square (label 0) or a dark one (label 1) or neither; images, targets, where the square is."""
    draws = np.random.default_rng(seed)
    images = draws.normal(0, 0.3, (count, 1, 64, 64)).astype(np.float32)
    truth = np.zeros((count, 64, 64), dtype=bool)
    kind = np.arange(count) % 3
    for number in range(count):
        y, x = draws.integers(0, 48, 2)
        if kind[number] < 2:
            truth[number, y : y + 16, x : x + 16] = True
            images[number, 0, y : y + 16, x : x + 16] += 1.5 - 3 * kind[number]
    return torch.from_numpy(images), torch.from_numpy(np.eye(3, dtype=np.float32)[kind][:, :2]), torch.from_numpy(truth)


@pytest.fixture(scope="module")
def trained() -> Network:
    """Learns squares in about two seconds."""
    torch.manual_seed(0)
    network = _Squares()
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    images, targets, _ = _pictures(384, 0)
    for step in range(110):
        rows = torch.arange(32) + 32 * (step % 12)
        loss = nn.functional.binary_cross_entropy_with_logits(network(images[rows]), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def _deleted(image: Tensor, where: np.ndarray) -> Tensor:
    """The image with an area replaced by its blur."""
    return torch.where(torch.from_numpy(where), blurred(image[None], 16.0)[0], image)


@pytest.mark.parametrize("method", ["layer-integrated-gradients", "integrated-gradients"])
def test_what_is_marked_lies_in_the_square_and_deleting_it_lowers_the_score(method: Method, trained: Network) -> None:
    """More than deleting the same area elsewhere; and the peak is in the square (the pointing game; Zhang et al., 2016)."""
    images, targets, truth = _pictures(24, 1)
    draws = np.random.default_rng(2)
    hits, wins, drops = [], [], []
    with torch.no_grad():
        scores = trained(images)
        assert ((scores > 0) == (targets > 0)).float().mean() > 0.95
    for number in np.flatnonzero(targets.sum(dim=1).numpy()):
        label = int(targets[number].argmax())
        values = enlarged(attribution(trained, images[number : number + 1], [label], method)[0, 0].numpy(), 64)
        where = marked(values, 0.12)
        other = np.roll(where, draws.integers(8, 56, 2), axis=(0, 1))
        with torch.no_grad():
            after = trained(torch.stack([_deleted(images[number], area) for area in (where, other)]))[:, label]
        hits.append(truth[number].flatten()[int(values.argmax())])
        drops.append((scores[number, label] - after).tolist())
        wins.append(bool(after[0] < after[1]))
    assert np.mean(hits) > 0.85, np.mean(hits)
    assert np.mean(wins) > 0.85, np.mean(wins)
    here, elsewhere = np.mean(drops, axis=0)
    assert here > 2 * elsewhere + 0.5, (here, elsewhere)


def test_attention_goes_where_the_trained_network_finds_the_square(trained: Network) -> None:
    images, targets, truth = _pictures(24, 1)
    with torch.no_grad():
        maps = attention_map(trained, trained.encode(images))
    assert maps is not None
    inside, area = [], []
    for number in np.flatnonzero(targets.sum(dim=1).numpy()):
        values = enlarged(maps[number, int(targets[number].argmax())].numpy(), 64)
        inside.append(values[truth[number].numpy()].sum() / values.sum())
        area.append(truth[number].float().mean())
    assert np.mean(inside) > 2 * np.mean(area)
