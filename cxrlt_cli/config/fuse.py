"""Options of `cxrlt fuse`."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.config.ranges import check_seed
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class FuseConfig:
    """Train attention over the images of each study.

    Uses the label features of a finished run, whose network is not changed. The result is a new run that `cxrlt predict` takes
    as any other; every image gets the score of its study.
    """

    run: str = flag(
        "",
        "Run whose network gives the label features, by name or folder [default: the newest finished run]",
        metavar="RUN",
        argument=True,
    )
    epochs: int = flag(10, "Passes over the training studies.")
    batch_size: int = flag(64, "Images per step; studies are not split.")
    lr: float = flag(1e-3, "Peak learning rate of AdamW; it falls as a cosine.", saved_as="rate")
    weight_decay: float = flag(0.01, "Weight decay of AdamW.")
    seed: int = flag(0, "Random seed.", most=(1 << 63) - 1)
    device: Literal["auto", "cpu", "cuda", "mps"] = flag("auto", "Device; auto: a CUDA GPU if there is one.")
    dataset: Path | None = flag(None, "Dataset with images, studies and labels [default: dataset.parquet]")
    name: str = flag("", "Name of the new run: runs/NAME [default: the run's name with -fused]")
    overwrite: bool = flag(False, "Replace an existing run.", name="--overwrite")

    def __post_init__(self) -> None:
        if self.name:
            checked_name(self.name)
        check_seed(self.seed)
        if self.epochs < 1 or self.batch_size < 1:
            raise UserError("--epochs and --batch-size are at least 1", "see cxrlt fuse --help")
        if not 0 < self.lr < math.inf or not 0 <= self.weight_decay < math.inf:
            raise UserError("--lr is above 0 and --weight-decay 0 or more", "see cxrlt fuse --help")
