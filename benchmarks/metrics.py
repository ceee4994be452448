"""Average precision and AUROC of 75,492 images x 26 classes, and their bootstrap, against scikit-learn and torchmetrics.

python benchmarks/metrics.py [ROUNDS]      needs: pip install scikit-learn torchmetrics

Contenders run in turn in one process; wall and processor time are medians. A resample is drawn over patients: 13,000 of them
with all their images, or each image a patient of its own. Those that are slow do a few resamples and are extrapolated.
"""

import resource
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torchmetrics.functional.classification import multilabel_auroc, multilabel_average_precision

from cxrlt_cli.metrics.bootstrap import resample
from cxrlt_cli.metrics.ranking import average_precision, per_class
from cxrlt_cli.metrics.ranking_intervals import estimate
from cxrlt_cli.metrics.resampling import multiplicities

IMAGES, CLASSES, RESAMPLES = 75_492, 26, 1000
SHARES = np.geomspace(0.34, 0.002, CLASSES)  # about the tail of the 2023 challenge: 164 : 1
Contender = Callable[[], np.ndarray]


def made_up(decimals: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N, C) float32 with AUROC about 0.8, rounded so that they tie, or not; and targets (N, C) uint8."""
    draws = np.random.default_rng(0)
    targets = (draws.random((IMAGES, CLASSES)) < SHARES).astype(np.uint8)
    logits = draws.normal(size=targets.shape) + 1.2 * targets + np.log(SHARES)
    return (logits if decimals is None else np.round(logits, decimals)).astype(np.float32), targets


def by_scikit_learn(logits: np.ndarray, targets: np.ndarray, *metrics: Callable[..., float]) -> np.ndarray:
    """(len(metrics), C)."""
    return np.array([[metric(targets[:, c], logits[:, c]) for c in range(CLASSES)] for metric in metrics])


def by_torchmetrics(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(2, C) AP and AUROC, exact (no bins)."""
    given = torch.from_numpy(logits), torch.from_numpy(targets.astype(np.int64)), CLASSES
    found = [metric(*given, average=None) for metric in (multilabel_average_precision, multilabel_auroc)]
    return torch.stack(found).numpy()


def point_contenders(logits: np.ndarray, targets: np.ndarray) -> dict[str, Contender]:
    """Name -> what it computes: (1, C) AP, or (2, C) AP and AUROC."""
    label_mask = np.ones(targets.shape, dtype=bool)

    def ours() -> np.ndarray:
        found = per_class(logits, targets, label_mask)
        return np.stack([found.ap, found.auroc])

    return {
        "scikit-learn loop, AP and AUROC": lambda: by_scikit_learn(logits, targets, average_precision_score, roc_auc_score),
        "scikit-learn loop, AP alone": lambda: by_scikit_learn(logits, targets, average_precision_score),
        "torchmetrics, AP and AUROC": lambda: by_torchmetrics(logits, targets),
        "average_precision loop, AP alone": lambda: by_scikit_learn(
            logits, targets, lambda truth, scores: average_precision(scores, truth)
        ),
        "per_class, AP and AUROC": ours,
    }


def timed(run: Contender) -> tuple[float, float, np.ndarray]:
    """Wall and processor seconds, and the result."""
    began, used = time.perf_counter(), time.process_time()
    result = run()
    return time.perf_counter() - began, time.process_time() - used, result


def measure_points(title: str, logits: np.ndarray, targets: np.ndarray, rounds: int) -> None:
    """Times all contenders in turn and holds each against scikit-learn's AP and AUROC, and against the time of its AP."""
    runs = point_contenders(logits, targets)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    results = {}
    for _ in range(rounds):
        for name, run in runs.items():
            _, used, results[name] = timed(run)
            seconds[name].append(used)
    both, ap, *_ = (median(times) for times in seconds.values())
    truth = next(iter(results.values()))
    print(f"{title}: {IMAGES:,} x {CLASSES}, processor time, median of {rounds}")
    for name, times in seconds.items():
        ratios = f"{both / median(times):5.1f}x of both, {ap / median(times):5.1f}x of AP alone"
        difference = np.abs(results[name] - truth[: len(results[name])]).max()
        print(f"  {name:<34} {1e3 * median(times):7.1f} ms  {ratios}, largest difference {difference:.1e}")


def resampled_rows(run: Callable[[np.ndarray, np.ndarray], np.ndarray], logits: np.ndarray, targets: np.ndarray) -> Contender:
    """One resample by its rows, as everybody does it."""

    def once() -> np.ndarray:
        rows = np.random.default_rng(0).integers(IMAGES, size=IMAGES)
        return run(logits[rows], targets[rows])

    return once


def measure_bootstrap(title: str, patients: np.ndarray, logits: np.ndarray, targets: np.ndarray, rounds: int) -> None:
    """Times 1,000 resamples with all intervals; scikit-learn and torchmetrics do one a round, times 1,000."""
    label_mask = np.ones(targets.shape, dtype=bool)
    count = len(np.unique(patients))

    def ours(threads: int) -> Contender:
        def run() -> np.ndarray:
            torch.set_num_threads(threads)
            found = resample(logits[None], targets, label_mask, patients, RESAMPLES)
            torch.set_num_threads(1)
            figures = np.concatenate([found.ap[0], found.auroc[0]], axis=1)
            _, ap, auroc = estimate(logits, targets, label_mask, patients, found)
            assert not np.isnan([ap.interval, auroc.interval]).any()
            return figures

        return run

    def ap_of(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return by_scikit_learn(x, y, average_precision_score)

    def both_of(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return by_scikit_learn(x, y, average_precision_score, roc_auc_score)

    runs = {
        "scikit-learn, AP and AUROC": (resampled_rows(both_of, logits, targets), RESAMPLES),
        "scikit-learn, AP alone": (resampled_rows(ap_of, logits, targets), RESAMPLES),
        "torchmetrics, AP and AUROC": (resampled_rows(by_torchmetrics, logits, targets), RESAMPLES),
        "resample, one thread": (ours(1), 1),
        "resample, two threads": (ours(2), 1),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, (run, factor) in runs.items():
            wall, used, result = timed(run)
            times[name].append((factor * wall, factor * used))
    rows = np.repeat(np.arange(IMAGES), multiplicities(count, 0, RESAMPLES - 1)[np.unique(patients, return_inverse=True)[1]])
    difference = np.abs(result[-1] - both_of(logits[rows], targets[rows]).ravel()).max()
    print(f"{title}: {RESAMPLES} resamples, all intervals, largest difference to scikit-learn {difference:.1e}")
    medians = {name: [median(column) for column in zip(*found, strict=True)] for name, found in times.items()}
    (wall_both, used_both), (wall_ap, used_ap), *_ = medians.values()
    for name, (wall, used) in medians.items():
        least = min(found[0] for found in times[name])
        ratios = f"{used_both / used:5.0f}x of both, {used_ap / used:5.0f}x of AP alone"
        walls = f"wall {wall:7.2f} s (least {least:.2f}): {wall_both / wall:5.0f}x, {wall_ap / wall:5.0f}x"
        print(f"  {name:<28} processor {used:7.2f} s: {ratios}; {walls}")


def main() -> None:
    """Point estimates on logits that tie and that hardly do, then the bootstrap, and its memory."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    torch.set_num_threads(1)
    draws = np.random.default_rng(1)
    patients = draws.permutation(np.append(np.arange(13_000), draws.integers(0, 13_000, IMAGES - 13_000)))
    logits, targets = made_up(None)
    resample(logits[None, :1000], targets[:1000], targets[:1000] < 2, patients[:1000], 1)  # what loading torch's parts takes
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    torch.set_num_threads(2)
    resample(logits[None], targets, np.ones(targets.shape, dtype=bool), patients, RESAMPLES)
    print(f"peak memory of the bootstrap: {(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024:.0f} MiB")
    torch.set_num_threads(1)
    measure_points("logits of 3 decimals (ties)", *made_up(3), rounds)
    measure_points("logits in full float32", logits, targets, rounds)
    for title, decimals in (("13,000 patients, ties", 3), ("13,000 patients, full float32", None)):
        measure_bootstrap(title, patients, *made_up(decimals), rounds)
    measure_bootstrap("each image a patient, full float32", np.arange(IMAGES), logits, targets, rounds)


if __name__ == "__main__":
    main()
