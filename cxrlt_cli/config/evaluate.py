"""Options of `cxrlt evaluate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.config.grammar import groups_flag, parse_groups
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class EvaluateConfig:
    """Score predictions: each class's AP and AUROC, and mAP.

    Average precision and AUROC of each class as scikit-learn defines them, their means over all classes and over head,
    medium and tail. Unknown labels are left out class by class; a class without a positive is undefined, left out of the
    means, and named. Images and classes are joined by name.
    """

    predictions: str = flag(
        "", "A name under predictions/, or a file [default: the newest there]", metavar="PREDICTIONS", argument=True
    )
    dataset: Path | None = flag(None, "The dataset with the labels [default: dataset.parquet]")
    split: Literal["train", "val", "test", "all"] | None = flag(
        None, "Split of the dataset that was scored [default: what the predictions say]"
    )
    groups: str = groups_flag()
    undefined: Literal["leave-out", "zero"] = flag(
        "leave-out", "A class without a positive has no AP: left out of the means, or 0 in them, as the challenge counts."
    )
    bootstrap: int = flag(1000, "Resamples of the patients for 95 % intervals; 0 for none.", metavar="N")
    seed: int = flag(0, "Decides the resamples.", most=(1 << 63) - 1)
    thresholds_from: str = flag(
        "",
        "Predictions of the validation split, or a run (its validation), on which thresholds are chosen; else they are chosen "
        "on the images evaluated.",
        metavar="PREDICTIONS",
    )
    specificity: float = flag(0.9, "Sensitivity is given where the specificity is this.")
    calibrate: str = flag("", "Calibrate the predictions first: a name under calibrations/, or a file.")
    per: Literal["image", "study"] = flag("image", "What is scored: each image, or the images of a study together.")
    study_merge: Literal["mean", "max"] = flag("mean", "How the logits of a study's images become one.")
    by: tuple[str, ...] = flag(
        (),
        "Also for each value of this column, repeatable: sex, age (in bands), view, source, a class, or one of --by-table; "
        "many numbers are divided into quarters.",
        metavar="COLUMN",
    )
    by_table: Path | None = flag(
        None, "Further columns for --by: a CSV or Parquet with image_id, study_id or patient_id.", metavar="TABLE"
    )
    name: str = flag("", "Name of the evaluation: evaluations/NAME/ [default: the name of the predictions]")
    output: Path | None = flag(None, "Folder in which NAME/ is made [default: evaluations/]", metavar="FOLDER")
    json: bool = flag(False, "Print the figures as JSON instead of a table.", name="--json")
    overwrite: bool = flag(False, "Replace an existing evaluation.", name="--overwrite")

    def __post_init__(self) -> None:
        if self.name:
            checked_name(self.name)
        self.bounds  # noqa: B018 - checked before any work
        if not 0 <= self.bootstrap <= 1_000_000 or self.seed < 0:
            raise UserError("--bootstrap is 0 … 1000000 and --seed at least 0", "1000 resamples are enough for an interval")
        if not 0 < self.specificity < 1:
            raise UserError(f"--specificity {self.specificity} is not between 0 and 1", "as in 0.9")
        if len(set(self.by)) < len(self.by):
            raise UserError("--by names a column twice", "once is enough")
        if self.by_table and not self.by:
            raise UserError("--by-table needs --by", "which of its columns? --by COLUMN")

    @property
    def bounds(self) -> tuple[float, float]:
        """High and low of `--groups`."""
        return parse_groups(self.groups)
