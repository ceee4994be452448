"""Options of `cxrlt info`."""

from dataclasses import dataclass
from pathlib import Path

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag


@dataclass(frozen=True)
class InfoConfig:
    """Tell what an artifact is: its main figures, and what made it.

    Of a dataset: images, patients and positives by source and split, unknown labels, which labels come together. Of images: how
    many are done, how they were made, their gray values.
    """

    path: Path | None = flag(None, "An artifact: a file of images/, a dataset, embeddings, predictions, a run, an evaluation.",
                             argument=True, metavar="PATH")  # fmt: skip
    figure: Path | None = flag(
        None, "Also draw it: the co-occurrence of a dataset's labels, or a contact sheet of images.", metavar="FILE.png|svg"
    )
    json: bool = flag(False, "Print JSON, for a script.", name="--json")
    overwrite: bool = flag(False, "Replace an existing figure.", name="--overwrite")

    def __post_init__(self) -> None:
        if self.path is None:
            raise UserError("info about what?", "name an artifact, as in: cxrlt info dataset.parquet")
        if self.figure and self.figure.suffix not in (".png", ".svg"):
            raise UserError(f"--figure {self.figure} ends neither in .png nor in .svg", "as in --figure labels.png")
