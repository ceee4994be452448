"""`explanations/NAME/`: `maps.parquet`, one row per map, and one sheet per image."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cxrlt_cli.artifacts.tables import write_table

FORMAT, VERSION = "cxrlt explanation", 1


@dataclass(frozen=True)
class Map:
    """An attention or attribution map of one label on one image.

    Attributes:
        image_id: id, or the path as it was given.
        label: class name.
        kind: `attention-last`, `attention-rollout`, or the attribution method.
        logit: the score of the label.
        values: (h, w) float32, over the whole square.
    """

    image_id: str
    label: str
    kind: str
    logit: float
    values: np.ndarray


def write_maps(folder: Path, maps: list[Map], header: dict[str, Any]) -> None:
    """Writes the maps with their header. Raises UserError where the folder cannot be written to."""
    columns = {
        "image_id": pa.array([m.image_id for m in maps], pa.string()),
        "class": pa.array([m.label for m in maps], pa.string()),
        "kind": pa.array([m.kind for m in maps], pa.string()),
        "logit": pa.array([m.logit for m in maps], pa.float32()),
        "height": pa.array([m.values.shape[0] for m in maps], pa.int32()),
        "width": pa.array([m.values.shape[1] for m in maps], pa.int32()),
        "values": pa.array([m.values.ravel().tolist() for m in maps], pa.list_(pa.float32())),
    }
    write_table(folder / "maps.parquet", pa.table(columns), FORMAT, VERSION, header)
