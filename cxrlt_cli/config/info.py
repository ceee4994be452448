"""Options of `cxrlt info`."""

from dataclasses import dataclass
from pathlib import Path

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag


@dataclass(frozen=True)
class InfoConfig:
    """Describe an artifact: its main numbers, and what made it.

    For a dataset: images, patients and positives by source and split, unknown labels, co-occurrence. For images: how many are
    done, how they were made, their gray values.
    """

    path: Path | None = flag(
        None,
        "Artifact: images/NAME.h5 or .parquet, a dataset, embeddings, predictions, an ensemble, a calibration, or the folder "
        "of a run, an evaluation or a comparison.",
        argument=True,
        metavar="PATH",
    )
    figure: Path | None = flag(
        None, "Also draw label co-occurrence of a dataset, or a contact sheet of images.", metavar="FILE.png|svg"
    )
    json: bool = flag(False, "Print JSON.", name="--json")
    overwrite: bool = flag(False, "Replace an existing figure.", name="--overwrite")

    def __post_init__(self) -> None:
        if self.path is None:
            raise UserError("missing argument PATH", "as in: cxrlt info dataset.parquet")
        if self.figure and self.figure.suffix not in (".png", ".svg"):
            raise UserError(f"--figure {self.figure} ends neither in .png nor in .svg", "as in --figure labels.png")
