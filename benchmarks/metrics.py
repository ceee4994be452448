"""Average precision and AUROC of 75,492 images x 26 classes: a scikit-learn loop against `per_class`, in turn in one run.

python benchmarks/metrics.py [ROUNDS]
"""

import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrlt_cli.metrics.ranking import average_precision, per_class

IMAGES, CLASSES = 75_492, 26
SHARES = np.geomspace(0.34, 0.002, CLASSES)  # about the tail of the 2023 challenge: 164 : 1


def made_up(decimals: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N, C) float32 with AUROC about 0.8, rounded so that they tie, or not; and targets (N, C) uint8."""
    draws = np.random.default_rng(0)
    targets = (draws.random((IMAGES, CLASSES)) < SHARES).astype(np.uint8)
    logits = draws.normal(size=targets.shape) + 1.2 * targets + np.log(SHARES)
    return (logits if decimals is None else np.round(logits, decimals)).astype(np.float32), targets


def contenders(logits: np.ndarray, targets: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """Name -> what it computes: (1, C) AP, or (2, C) AP and AUROC."""
    known, columns = np.ones(targets.shape, dtype=bool), range(CLASSES)

    def loop(*metrics: Callable[[np.ndarray, np.ndarray], float]) -> np.ndarray:
        return np.array([[metric(targets[:, c], logits[:, c]) for c in columns] for metric in metrics])

    def ours() -> np.ndarray:
        found = per_class(logits, targets, known)
        return np.stack([found.ap, found.auroc])

    return {
        "scikit-learn loop, AP and AUROC": lambda: loop(average_precision_score, roc_auc_score),
        "scikit-learn loop, AP alone": lambda: loop(average_precision_score),
        "average_precision loop, AP alone": lambda: loop(lambda truth, scores: average_precision(scores, truth)),
        "per_class, AP and AUROC": ours,
    }


def measure(title: str, logits: np.ndarray, targets: np.ndarray, rounds: int) -> None:
    """Times all contenders in turn and holds each against scikit-learn's AP and AUROC, and against the time of its AP."""
    runs = contenders(logits, targets)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    results = {}
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            results[name] = run()
            seconds[name].append(time.perf_counter() - began)
    both, ap, *_ = (median(times) for times in seconds.values())
    truth = next(iter(results.values()))
    print(f"{title}: {IMAGES:,} x {CLASSES}, median of {rounds}")
    for name, times in seconds.items():
        ratios = f"{both / median(times):5.1f}x of both, {ap / median(times):5.1f}x of AP alone"
        difference = np.abs(results[name] - truth[: len(results[name])]).max()
        print(f"  {name:<34} {1e3 * median(times):7.1f} ms  {ratios}, largest difference {difference:.1e}")


def main() -> None:
    """Runs the comparison on logits that tie and on logits that hardly do."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    measure("logits of 3 decimals (ties)", *made_up(3), rounds)
    measure("logits in full float32", *made_up(None), rounds)


if __name__ == "__main__":
    main()
