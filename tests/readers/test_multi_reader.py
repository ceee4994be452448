"""The mean over readers, against published analyses."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cxrlt_cli.readers.multi_reader import mean_of_these_readers, mean_over_readers

#: Van Dyke et al. 1993, spin-echo and cine MRI for thoracic aortic dissection: 114 patients, 5 readers. Trapezoidal AUROC of
#: each reader, Cov2 by jackknife, and the analysis of each treatment by itself, as published in the guide of the R package
#: MRMCaov (Smith and Hillis, Proceedings of SPIE 11316, 2020): estimate, standard error, degrees of freedom, interval.
VAN_DYKE = {
    "spin-echo": ([0.9196457, 0.8587762, 0.9038647, 0.9731079, 0.8297907], 0.0004839618,
                  (0.8970370, 0.03317360, 12.74465, 0.8252236, 0.9688505)),
    "cine": ([0.9478261, 0.9053140, 0.9217391, 0.9993559, 0.9299517], 0.0002041879,
             (0.9408374, 0.02156637, 12.71019, 0.8941378, 0.9875369)),
}  # fmt: skip


@pytest.mark.parametrize("treatment", VAN_DYKE)
def test_van_dyke(treatment: str) -> None:
    areas, shared, (estimate, error, degrees, low, high) = VAN_DYKE[treatment]
    covariance = np.full((5, 5), shared)
    np.fill_diagonal(covariance, 0.0008022883)  # Var of both treatments
    found = mean_over_readers(np.array(areas), covariance)
    assert (found.value, found.low, found.high) == pytest.approx((estimate, low, high), abs=2e-6)
    assert found.degrees == pytest.approx(degrees, rel=1e-4)
    assert (found.high - found.value) / 2.1648 == pytest.approx(error, rel=1e-3)  # t(12.7) is 2.165


def simulated_readers(rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """200 positives, 800 negatives, a network and 10 readers by the model of Roe and Metz, drawn in the published order."""
    disease = np.repeat([1, 0], [200, 800])
    case = rng.randn(1000)
    readers = []
    for _ in range(10):
        negative, positive = 0.075 * rng.randn(2)
        noise = np.sqrt(1 - 0.6**2) * rng.randn(1000)
        readers.append(disease + negative * (1 - disease) + positive * disease + 0.6 * case + noise)
    return disease, disease + case, np.array(readers)


def auroc(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """(N + 1,) AUROC, of all images and without each of them in turn."""
    above = scores[positive][:, None] > scores[~positive]
    without = np.empty(len(scores))
    total, (p, m) = above.sum(), above.shape
    without[positive] = (total - above.sum(axis=1)) / ((p - 1) * m)
    without[~positive] = (total - above.sum(axis=0)) / (p * (m - 1))
    assert total / (p * m) == pytest.approx(roc_auc_score(positive, scores))
    return np.append(total / (p * m), without)


def test_a_network_against_ten_readers_as_rjafroc_finds_it() -> None:
    """Data and results of RJafroc as in the tests of github.com/Google-Health/google-health, analysis/ (Apache-2.0)."""
    disease, network, readers = simulated_readers(np.random.RandomState(1987))
    areas = np.array([auroc(network, disease == 1) - auroc(reader, disease == 1) for reader in readers])
    covariance = np.cov(areas[:, 1:]) * 999**2 / 1000  # jackknife
    found = mean_over_readers(areas[:, 0], covariance)
    assert found.value == pytest.approx(-0.00584125, rel=1e-5)
    assert (found.low, found.high) == pytest.approx((-0.03233184, 0.02064934), abs=1e-8)
    assert found.p == pytest.approx(0.6560453, rel=1e-6)
    assert found.degrees == pytest.approx(31.00905, rel=1e-6)


def test_few_readers_keep_the_level() -> None:
    """Readers' means where there is no difference: images and readers vary, p <= 0.05 is not much more frequent than that."""
    draws = np.random.default_rng(0)
    for readers, most in ((2, 0.055), (3, 0.06), (5, 0.06)):
        covariance = np.full((readers, readers), 0.5) + 0.5 * np.eye(readers)
        images, own = draws.normal(size=(3000, 1)) * 0.5**0.5, draws.normal(size=(3000, readers))
        values = images + own * (0.5 + 1.0) ** 0.5  # a reader differs by sd 1 beside the own error
        found = np.mean([mean_over_readers(row, covariance).p <= 0.05 for row in values])
        assert 0.02 < found < most


def test_these_readers_alone() -> None:
    found = mean_of_these_readers(np.array([0.1, 0.3]), np.array([[0.04, 0.0], [0.0, 0.04]]), 10)
    half = 2.228138852 * 0.08**0.5 / 2  # t(10) of 97.5 %
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.2 - half, 0.2 + half))
    assert np.isnan(mean_of_these_readers(np.array([0.1]), np.array([[0.04]]), 0).low)
    assert np.isnan(mean_over_readers(np.array([0.1]), np.array([[0.04]])).p)
    assert np.isnan(mean_of_these_readers(np.empty(0), np.empty((0, 0)), 5).value)
