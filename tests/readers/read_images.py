"""A few images with scores and readers, on disk and in memory."""

from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.predictions import PredictionsHeader
from cxrlt_cli.scores.labelled import Scored

CLASSES = ["Mass", "Pleural_Thickening"]


def scored_images(images: int = 120, seed: int = 0) -> Scored:
    """Two images a patient, labels of the dataset, scores that lean towards them."""
    draws = np.random.default_rng(seed)
    targets = (draws.random((images, 2)) < [0.4, 0.3]).astype(np.uint8)
    table = pd.DataFrame(
        {"image_id": [f"i{n:03}.png" for n in range(images)], "patient_id": [f"p{n // 2}" for n in range(images)]}
    )
    logits = (draws.normal(size=(images, 2)) + targets).astype(np.float32)
    none = np.zeros(2, dtype=np.int64)
    mask = np.ones((images, 2), dtype=bool)
    return Scored(Path("scores.parquet"), PredictionsHeader(), "test", table, CLASSES, logits, targets, mask, none, none)


def reads_of(scored: Scored, names: str = "ABC", wrong: float = 0.2, seed: int = 1) -> pd.DataFrame:
    """Each reader reads all images, with some labels turned; YES and NO."""
    draws = np.random.default_rng(seed)
    parts = []
    for name in names:
        turned = (draws.random(scored.targets.shape) < wrong) ^ (scored.targets == 1)
        part = pd.DataFrame(np.where(turned, "YES", "NO"), columns=["Mass", "Pleural Thickening"])
        parts.append(part.assign(**{"Image ID": scored.table["image_id"], "Reader ID": name}))
    return pd.concat(parts, ignore_index=True)
