"""Options of `cxrlt report`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.config.grammar import groups_flag, parse_groups
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name

MOST = 6  # subjects: more colours are hard to distinguish


@dataclass(frozen=True)
class ReportConfig:
    """Write an HTML page about a run, and its figures.

    One self-contained page, and the figures as PNG and SVG. For a run, uses its newest predictions of the test split, else its
    validation scores. The page needs no network. It contains patient images, unless --mistakes 0. Thresholds and subgroups come
    from the newest evaluation of the same scores; without one, thresholds are chosen on the validation split of the run.
    """

    what: tuple[str, ...] = flag(
        (),
        "Runs, evaluations or predictions, by name or path; the others are compared with the first [default: the newest "
        "finished run]",
        argument=True,
        metavar="RUN|EVALUATION...",
    )
    dataset: Path | None = flag(None, "Dataset with labels and images [default: dataset.parquet]")
    mistakes: int = flag(6, "Number of missed findings, and of false alarms, to show as images, 0 to 40.")
    resamples: int = flag(1000, "Bootstrap resamples of the patients for the intervals, at least 100.")
    groups: str = groups_flag()
    seed: int = flag(0, "Random seed of the resamples.", most=(1 << 63) - 1)
    name: str = flag("", "Name of the report: reports/NAME/ [default: from what it is about]")
    device: Literal["auto", "cpu", "cuda", "mps"] = flag("auto", "Device; auto: a CUDA GPU if there is one.")
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
