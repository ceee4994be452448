"""Options of `cxrlt compare`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.config.grammar import groups_flag, parse_groups
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class CompareConfig:
    """Compare runs or predictions: differences, intervals, p-values.

    All entries score the same images, so differences are paired. Intervals come from bootstrap resamples of the patients,
    p-values from swapping the two within random patients, corrected over classes (Holm). Options that differ are shown.
    """

    compared: tuple[str, ...] = flag(
        (),
        "Two or more runs (their validation scores) or predictions, by name or path; the others are compared with the first.",
        metavar="BASE OTHER ...",
        argument=True,
    )
    dataset: Path | None = flag(None, "Dataset with the labels [default: dataset.parquet]")
    split: Literal["train", "val", "test", "all"] | None = flag(None, "Split that was scored [default: as the predictions say]")
    groups: str = groups_flag()
    bootstrap: int = flag(1000, "Bootstrap resamples of the patients, for the intervals.", metavar="N")
    permutations: int = flag(10_000, "Permutations of the patients; the smallest p-value is 1 / (N + 1).", metavar="N")
    seed: int = flag(0, "Random seed of the resamples and permutations.", most=(1 << 63) - 1)
    name: str = flag("", "Save the comparison as comparisons/NAME/ [default: print only]")
    output: Path | None = flag(None, "Folder for NAME/ [default: comparisons/]", metavar="FOLDER")
    json: bool = flag(False, "Print JSON instead of tables.", name="--json")
    overwrite: bool = flag(False, "Replace an existing comparison.", name="--overwrite")

    def __post_init__(self) -> None:
        if len(self.compared) < 2:
            raise UserError("a comparison needs two runs or predictions or more", "as in: cxrlt compare runs/a runs/b")
        if not 2 <= self.bootstrap <= 1_000_000 or self.seed < 0:
            raise UserError("--bootstrap is 2 … 1000000 and --seed at least 0", "1000 resamples are enough for an interval")
        if not 1 <= self.permutations <= 1_000_000:
            raise UserError("--permutations is 1 … 1000000", "10000 are enough for a p-value")
        if self.output and not self.name:
            raise UserError("--output needs --name", "the comparison is written to OUTPUT/NAME/")
        if self.name:
            checked_name(self.name)
        self.bounds  # noqa: B018 - checked before any work

    @property
    def bounds(self) -> tuple[float, float]:
        """High and low of `--groups`."""
        return parse_groups(self.groups)
