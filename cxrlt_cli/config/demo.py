"""Options of `cxrlt demo`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.config.ranges import check_seed
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag


@dataclass(frozen=True)
class DemoConfig:
    """Run every stage on made-up radiographs.

    A few minutes on two cores; nothing is downloaded. Every stage is the command that you would type for your own images,
    and is shown before it runs.
    """

    folder: Path | None = flag(None, "Folder to make [default: cxrlt-demo]", metavar="DIR", argument=True)
    phantoms: int = flag(2000, "Made-up radiographs.")
    epochs: int = flag(8, "Passes over the training images, in each of two runs.")
    size: int = flag(48, "Side of the cached images, px.")
    findings: Literal["standard", "hard"] = flag(
        "standard",
        "standard: those of ChestX-ray14; hard: 20 small and faint ones, most of which differ only by place, with a box of "
        "each, to compare networks (needs --data-only).",
    )
    tail: float | None = flag(
        None,
        "Each finding is this many times as frequent as the one before: the smaller, the longer the tail [default: 0.84, and "
        "0.79 for hard findings]",
        metavar="RATIO",
    )
    data_only: bool = flag(False, "Stop after merge: a workspace to try things in.", name="--data-only")
    seed: int = flag(0, "Decides everything that is drawn.")
    overwrite: bool = flag(False, "Replace an earlier demonstration.", name="--overwrite")

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if (self.tail is not None and not 0.3 <= self.tail <= 1) or not 16 <= self.size <= 192:
            raise UserError("--tail is within 0.3 … 1, --size within 16 … 192 px", "as in --tail 0.7 --size 64")
        if self.phantoms < 100 or self.epochs < 1:
            raise UserError(
                "--phantoms is at least 100 and --epochs at least 1", "the default takes a few minutes on two cores"
            )
        if self.findings == "hard" and not self.data_only:
            raise UserError(
                "--findings hard makes data only", "add --data-only, and train the networks that you want to compare"
            )
