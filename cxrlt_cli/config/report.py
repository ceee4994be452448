"""Options of `cxrlt report`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.config.grammar import groups_flag, parse_groups
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name

MOST = 6  # side by side: so many colours can be told apart


@dataclass(frozen=True)
class ReportConfig:
    """Write one self-contained HTML page about a run, and its figures as PNG and SVG.

    Of a run, the newest predictions of the test split are taken, else its scores of the validation split. The page opens from
    disk, needs no network, and holds pictures of patients unless --mistakes 0. Thresholds and subgroups are those of the
    evaluation that is named, or of the newest one of the same scores.
    """

    what: tuple[str, ...] = flag(
        (),
        "Runs, evaluations or predictions, by name or path; the first is told of, others are compared with it "
        "[default: the newest finished run]",
        argument=True,
        metavar="RUN|EVALUATION...",
    )
    dataset: Path | None = flag(None, "The dataset with labels and pictures [default: dataset.parquet]")
    mistakes: int = flag(6, "Show so many missed findings and as many false alarms as pictures; 0 keeps pictures out.")
    resamples: int = flag(1000, "Resamples of the patients from which intervals come.")
    groups: str = groups_flag()
    seed: int = flag(0, "Decides the resamples.", most=(1 << 63) - 1)
    name: str = flag("", "Name of the report: reports/NAME/ [default: the names of what it is about]")
    device: Literal["auto", "cpu", "cuda"] = flag("auto", "Where to compute; auto takes a GPU where there is one.")
    overwrite: bool = flag(False, "Replace an existing report.", name="--overwrite")

    def __post_init__(self) -> None:
        if len(self.what) > MOST:
            raise UserError(f"{len(self.what)} are too many for one report", f"name at most {MOST}")
        if self.mistakes < 0 or self.mistakes > 40:
            raise UserError(f"--mistakes {self.mistakes} is not within 0 … 40", "each is a picture in the page")
        if self.resamples < 100:
            raise UserError(f"--resamples {self.resamples} gives no interval", "1000 are usual, 100 the least")
        if self.name:
            checked_name(self.name)
        self.bounds  # noqa: B018 - checked before any work

    @property
    def bounds(self) -> tuple[float, float]:
        """High and low of `--groups`."""
        return parse_groups(self.groups)
