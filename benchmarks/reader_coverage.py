"""How often the p-values and intervals of `cxrlt evaluate --readers` are right, on simulated readers.

    python benchmarks/reader_coverage.py point [IMAGES_A_PATIENT]   # one reader against the network
    python benchmarks/reader_coverage.py mean                       # the mean over readers

Network and reader are binormal: a shared effect of the image, one of their own, 1.5 standard deviations between positives and
negatives, so that every reader lies on the network's curve. Several images of a patient share half of each effect.
"""

import sys

import numpy as np
from scipy.special import stdtrit
from scipy.stats import norm

from cxrlt_cli.readers.multi_reader import mean_of_these_readers, mean_over_readers
from cxrlt_cli.readers.reader_points import ReaderPoints, network_degrees, reader_points

SAMPLES, RESAMPLES, SEPARATION = 400, 250, 1.5
SIZES = ((10, 140), (20, 130), (50, 100))


def effect(draws: np.random.Generator, patients: np.ndarray) -> np.ndarray:
    """(N,) standard normal, half of its variance shared by the images of a patient."""
    own, shared = draws.normal(size=len(patients)), draws.normal(size=patients.max() + 1)
    if len(np.unique(patients)) == len(patients):
        return own
    mixed: np.ndarray = np.sqrt(0.5) * (own + shared[patients])
    return mixed


def simulated(
    draws: np.random.Generator, size: tuple[int, int], images: int, readers: int, rate: float, spread: float
) -> list[ReaderPoints]:
    """Readers of the same images.

    Args:
        draws: random numbers.
        size: positives and negatives.
        images: of a patient.
        readers: how many.
        rate: false positive rate of a reader.
        spread: standard deviation of the readers' own separation; their thresholds then vary by 0.4.
    """
    positive = np.arange(sum(size)) < size[0]
    patients = np.arange(len(positive)) // images
    case = effect(draws, patients)
    network = 0.6 * case + 0.8 * effect(draws, patients) + SEPARATION * positive
    found = []
    for _ in range(readers):
        separation = SEPARATION + spread * draws.normal()
        threshold = norm.isf(rate) + (0.4 * draws.normal() if readers > 1 else 0.0)
        scores = 0.6 * case + 0.8 * effect(draws, patients) + separation * positive
        found.append(reader_points(network, positive, scores > threshold, patients))
    return found


def differences(draws: np.random.Generator, readers: list[ReaderPoints]) -> tuple[np.ndarray, np.ndarray]:
    """(R,) differences in sensitivity, and (R, RESAMPLES) in resamples."""
    patients = int(readers[0].patients.max()) + 1
    weights = draws.multinomial(patients, np.full(patients, 1 / patients), size=RESAMPLES).T
    both = [one.figures(np.column_stack([np.ones(patients), weights])) for one in readers]
    found = np.array([figures[:, 4] - figures[:, 0] for figures in both])
    return found[:, 0], found[:, 1:]


def point(images: int) -> None:
    """One reader: p at most 0.05, and intervals that contain 0, in percent; median width."""
    draws = np.random.default_rng((7, images))
    for size in SIZES:
        for rate in (0.03, 0.1, 0.25):
            rows = []
            for _ in range(SAMPLES):
                (one,) = simulated(draws, size, images, 1, rate, 0.0)
                value, resampled = differences(draws, [one])
                degrees = network_degrees(one)[0]
                half = stdtrit(degrees, 0.975) * np.nanstd(resampled, ddof=1) if degrees > 0 else np.nan
                rows.append((one.on_the_curve_p() <= 0.05, half, np.nan if np.isnan(half) else abs(value[0]) <= half, value[0]))
            p, half, covered, value = np.array(rows, dtype=float).T
            print(
                f"{images} images a patient, {size[0]} + {size[1]} images, FPR {rate}: p {100 * p.mean():.1f}, "
                f"covered {100 * np.nanmean(covered):.1f}, width {2 * np.nanmedian(half):.2f}, bias {value.mean():+.3f}, "
                f"no interval {100 * np.isnan(half).mean():.0f}",
                flush=True,
            )


def mean() -> None:
    """The mean over readers: p at most 0.05 in percent, for readers like these and for these readers."""
    draws = np.random.default_rng(5)
    for size in SIZES:
        for readers in (2, 3, 5):
            for spread in (0.0, 0.3):
                rows = []
                for _ in range(SAMPLES):
                    values, resampled = differences(draws, simulated(draws, size, 1, readers, 0.1, spread))
                    covariance = np.cov(resampled[:, ~np.isnan(resampled).any(axis=0)])
                    found = mean_over_readers(values, covariance, size[0] - 1)
                    rows.append((found.p <= 0.05, mean_of_these_readers(values, covariance, size[0] - 1).p <= 0.05))
                like, these = 100 * np.mean(rows, axis=0)
                print(f"{size[0]} + {size[1]} images, {readers} readers, spread {spread}: {like:.1f}, {these:.1f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["mean"]:
        mean()
    elif sys.argv[1:2] == ["point"]:
        point(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    else:
        sys.exit(__doc__)
