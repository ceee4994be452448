"""Options of `cxrlt clean`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name

MOST = 500  # cells in a page: each is a picture


@dataclass(frozen=True)
class CleanConfig:
    """Find labels that the scores contradict, for a human to review.

    Ranks every known label of the scored images by confident learning and writes corrections/NAME/: corrections.csv and
    review.html, a page to review the labels with the keyboard. The page needs no network; it contains patient images. Apply the
    reviewed file with `cxrlt merge --corrections`. The scores must be out-of-sample: validation, test, or out of fold.
    """

    predictions: str = flag(
        "",
        "Name under predictions/, a file, or runs/NAME for its validation scores [default: the newest predictions]",
        metavar="PREDICTIONS",
        argument=True,
    )
    folds: str = flag(
        "",
        "Rank the training labels by the out-of-fold scores of this cxrlt study folds: a name under studies/.",
        metavar="STUDY",
    )
    dataset: Path | None = flag(None, "Dataset with labels and images [default: dataset.parquet]")
    split: Literal["train", "val", "test", "all"] | None = flag(None, "Split that was scored [default: as the predictions say]")
    probabilities: Literal["one-scale", "raw"] = flag(
        "one-scale",
        "one-scale: fit the probabilities of each class to its labels first, so that classes compare. raw: as predicted.",
    )
    top: int = flag(100, "Number of labels in the page, 0 to 500; 0: no page.", metavar="N")
    name: str = flag("", "Name of the result: corrections/NAME/ [default: the name of the predictions]")
    device: Literal["auto", "cpu", "cuda", "mps"] = flag("auto", "Device; auto: a CUDA GPU if there is one.")
    overwrite: bool = flag(False, "Replace an existing result.", name="--overwrite")

    def __post_init__(self) -> None:
        if not 0 <= self.top <= MOST:
            raise UserError(f"--top {self.top} is not within 0 … {MOST}", "corrections.csv lists all contradicted labels")
        if self.folds and (self.predictions or self.split):
            raise UserError(
                "--folds names the scores and their images: PREDICTIONS and --split are not given", "leave them out"
            )
        if self.name:
            checked_name(self.name)
