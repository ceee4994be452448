"""Tables of another tool: labels as NIH publishes them, and probabilities."""

from pathlib import Path

import numpy as np
import pandas as pd

Tables = tuple[pd.DataFrame, pd.DataFrame]  # labels and scores
CLASSES = ["Mass", "Pleural_Thickening", "Hernia"]
IMPORT = ["import", "scores.csv", "--id-column", "Image Index", "--columns", "prob_{class}"]
LABELS = ["--labels", "labels.csv", "--label-column", "Finding Labels"]
PATTERN = ["--patient-pattern", "{patient}_{n}.png"]


def ids_of(count: int) -> list[str]:
    """Two images a patient."""
    return [f"{number // 2:04}_{number % 2:03}.png" for number in range(count)]


def write_labels(path: Path, count: int = 120, seed: int = 0) -> pd.DataFrame:
    """A table as NIH publishes it, with synonyms and `No Finding`; (N, C) bool labels are returned by image."""
    draws = np.random.default_rng(seed)
    present = pd.DataFrame(draws.random((count, 3)) < [0.4, 0.3, 0.2], index=ids_of(count), columns=CLASSES)
    names = [[name.replace("_", " ") for name, there in zip(CLASSES, row, strict=True) if there] for row in present.to_numpy()]
    findings = ["|".join(row) or "No Finding" for row in names]
    pd.DataFrame({"Image Index": present.index, "Finding Labels": findings}).to_csv(path, index=False)
    return present


def write_scores(path: Path, present: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    """Probabilities that lean towards the labels, many of them near 0, in another order than the labels."""
    draws = np.random.default_rng(seed)
    logits = 3 * draws.normal(size=present.shape) - 4 + 3 * present.to_numpy()
    scores = pd.DataFrame(1 / (1 + np.exp(-logits)), index=present.index, columns=CLASSES)
    shuffled = scores.sample(frac=1, random_state=seed)
    shuffled.add_prefix("prob_").rename_axis("Image Index").to_csv(path)
    return scores


def write_tables(folder: Path) -> Tables:
    """Labels and scores of 120 images, written to labels.csv and scores.csv."""
    present = write_labels(folder / "labels.csv")
    return present, write_scores(folder / "scores.csv", present)
