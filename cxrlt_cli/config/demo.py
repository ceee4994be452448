"""Options of `cxrlt demo`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.config.ranges import check_seed
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag


@dataclass(frozen=True)
class DemoConfig:
    """Run every stage on synthetic radiographs.

    Takes a few minutes on two cores and downloads nothing. Each command is printed before it runs, as you would type it for
    your own images.
    """

    folder: Path | None = flag(None, "Folder to create [default: cxrlt-demo]", metavar="DIR", argument=True)
    phantoms: int = flag(2000, "Number of synthetic radiographs, at least 100.")
    epochs: int = flag(8, "Epochs of each of the two runs.")
    size: int = flag(48, "Side of the cached images, 16 to 192 px.")
    findings: Literal["standard", "hard", "composed"] = flag(
        "standard",
        "standard: the labels of ChestX-ray14. hard: 20 small, faint findings that differ mostly by location, with bounding "
        "boxes. composed: 30 findings of a kind and a place, a third of them held out of the training. Both need --data-only.",
    )
    tail: float | None = flag(
        None,
        "Frequency of each finding relative to the next more frequent one, 0.3 to 1; smaller is longer-tailed [default: "
        "0.84; hard: 0.79; composed: 1]",
        metavar="RATIO",
    )
    data_only: bool = flag(False, "Stop after merge: create a workspace to experiment in.", name="--data-only")
    seed: int = flag(0, "Random seed of images, labels and training.", most=(1 << 63) - 1)
    overwrite: bool = flag(False, "Replace an earlier demonstration.", name="--overwrite")

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if (self.tail is not None and not 0.3 <= self.tail <= 1) or not 16 <= self.size <= 192:
            raise UserError("--tail is within 0.3 … 1, --size within 16 … 192 px", "as in --tail 0.7 --size 64")
        if self.phantoms < 100 or self.epochs < 1:
            raise UserError(
                "--phantoms is at least 100 and --epochs at least 1", "the default takes a few minutes on two cores"
            )
        if self.findings != "standard" and not self.data_only:
            raise UserError(
                f"--findings {self.findings} makes data only",
                "add --data-only, and train the networks that you want to compare",
            )
