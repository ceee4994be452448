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
    """Name -> what it computes: (C,) AP, or (2, C) AP and AUROC."""
    known = np.ones(targets.shape, dtype=bool)
    columns = range(CLASSES)

    def both() -> np.ndarray:
        found = per_class(logits, targets, known)
        return np.stack([found.ap, found.auroc])

    return {
        "AP, scikit-learn loop": lambda: np.array([average_precision_score(targets[:, c], logits[:, c]) for c in columns]),
        "AP, average_precision": lambda: np.array([average_precision(logits[:, c], targets[:, c]) for c in columns]),
        "AP + AUROC, scikit-learn loop": lambda: np.array(
            [[metric(targets[:, c], logits[:, c]) for c in columns] for metric in (average_precision_score, roc_auc_score)]
        ),
        "AP + AUROC, per_class": both,
    }


def measure(title: str, logits: np.ndarray, targets: np.ndarray, rounds: int) -> None:
    """Times all contenders in turn; the odd ones are held against the one before."""
    runs = contenders(logits, targets)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    results = {}
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            results[name] = run()
            seconds[name].append(time.perf_counter() - began)
    print(f"{title}: {IMAGES:,} x {CLASSES}, median of {rounds}")
    for (base, base_seconds), (ours, our_seconds) in zip(list(seconds.items())[::2], list(seconds.items())[1::2], strict=True):
        ratio = median(base_seconds) / median(our_seconds)
        difference = np.abs(results[base] - results[ours]).max()
        print(f"  {base:<30} {1e3 * median(base_seconds):8.1f} ms")
        print(f"  {ours:<30} {1e3 * median(our_seconds):8.1f} ms  {ratio:5.1f}x, largest difference {difference:.1e}")


def main() -> None:
    """Runs the comparison on logits that tie and on logits that hardly do."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    measure("logits of 3 decimals (ties)", *made_up(3), rounds)
    measure("logits in full float32", *made_up(None), rounds)


if __name__ == "__main__":
    main()
