"""Options of `cxrlt evaluate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class EvaluateConfig:
    """Which predictions are held against which labels."""

    predictions: str = flag(
        "", "A name under predictions/, or a file [default: the newest there]", metavar="PREDICTIONS", argument=True
    )
    dataset: Path | None = flag(None, "The dataset with the labels [default: dataset.parquet]")
    split: Literal["train", "val", "test", "all"] | None = flag(
        None, "Split of the dataset that was scored [default: what the predictions say]"
    )
    groups: str = flag(
        "0.10,0.01",
        "A class is head above the first share of training positives, medium above the second, tail else.",
        metavar="HIGH,LOW",
    )
    name: str = flag("", "Name of the evaluation: evaluations/NAME/ [default: the name of the predictions]")
    output: Path | None = flag(None, "Folder in which NAME/ is made [default: evaluations/]", metavar="FOLDER")
    json: bool = flag(False, "Print the figures as JSON instead of a table.", name="--json")
    overwrite: bool = flag(False, "Replace an existing evaluation.", name="--overwrite")

    def __post_init__(self) -> None:
        if self.name:
            checked_name(self.name)
        self.bounds  # noqa: B018 - checked before any work

    @property
    def bounds(self) -> tuple[float, float]:
        """High and low of `--groups`."""
        try:
            high, low = (float(part) for part in self.groups.split(","))
        except ValueError:
            high, low = 0.0, 0.0
        if not 0 <= low < high < 1:
            raise UserError(
                f"--groups {self.groups!r} is not two shares, high and low, with 0 <= low < high < 1",
                "as in --groups 0.10,0.01: head above 10 %, medium above 1 %, tail else",
            )
        return high, low
