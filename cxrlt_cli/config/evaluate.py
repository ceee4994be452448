"""Options of `cxrlt evaluate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.config.grammar import groups_flag, parse_groups, parse_reference
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag, flag_of
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluate predictions: AP, AUROC, thresholds, calibration.

    AP and AUROC as scikit-learn defines them, with means over all, head, medium and tail classes. Unknown labels are left out
    per class. A class without a positive has no AP and is named. Images and classes are matched by name.
    """

    predictions: str = flag(
        "", "Name under predictions/, or a file [default: the newest there]", metavar="PREDICTIONS", argument=True
    )
    dataset: Path | None = flag(None, "Dataset with the labels [default: dataset.parquet]")
    split: Literal["train", "val", "test", "all"] | None = flag(None, "Split that was scored [default: as the predictions say]")
    groups: str = groups_flag()
    undefined: Literal["leave-out", "zero"] = flag(
        "leave-out", "AP of a class without a positive in the means: left out, or 0 as in the challenge."
    )
    bootstrap: int = flag(1000, "Bootstrap resamples of the patients for 95 % intervals; 0: no intervals.", metavar="N")
    seed: int = flag(0, "Random seed of the resamples.", most=(1 << 63) - 1)
    thresholds_from: str = flag(
        "",
        "Choose decision thresholds on these validation predictions, or on a run's; by default on the evaluated images, "
        "which makes F1 too high.",
        metavar="PREDICTIONS",
    )
    specificity: float = flag(0.9, "Specificity at which sensitivity is reported, 0 to 1.")
    calibrate: str = flag("", "Apply a fitted calibration first: a name under calibrations/, or a file.")
    per: Literal["image", "study"] = flag("image", "Evaluate each image, or the merged score of each study.")
    study_merge: Literal["mean", "max"] = flag("mean", "How to merge the logits of a study.")
    by: tuple[str, ...] = flag(
        (),
        "Also evaluate each subgroup of this column; may be repeated: sex, age (in bands), view, source, a class, or a "
        "column of --by-table. A numeric column is split into quartiles.",
        metavar="COLUMN",
    )
    by_table: Path | None = flag(
        None, "More columns for --by: a CSV or Parquet with image_id, study_id or patient_id.", metavar="TABLE"
    )
    readers: Path | None = flag(
        None,
        "Compare with readers: a CSV or Parquet with a row per image and reader, and a column per class (1, 0, -1, blank; or "
        "YES, NO, HEDGE).",
        metavar="TABLE",
    )
    reference: str = flag(
        "",
        "What is right: a table of expert labels, whose gap to the dataset's labels is measured too; majority:READER,… of "
        "--readers; or leave-one-out, each reader against the majority of the others [default: the dataset's labels]",
        metavar="REFERENCE",
    )
    image_column: str = flag("", "Image column in both tables [default: image_id, Image Index ...]")
    reader_column: str = flag("", "Reader column in --readers [default: reader_id, Reader ID ...]")
    uncertain: Literal["leave-out", "positive", "negative"] = flag(
        "leave-out", "What an uncertain label (-1, HEDGE) in --readers and --reference counts as."
    )
    name: str = flag("", "Name of the evaluation: evaluations/NAME/ [default: the name of the predictions]")
    output: Path | None = flag(None, "Folder for NAME/ [default: evaluations/]", metavar="FOLDER")
    json: bool = flag(False, "Print JSON instead of a table.", name="--json")
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
        self._check_readers()

    def _check_readers(self) -> None:
        kind, _ = self.reference_kind
        if kind in ("majority", "leave-one-out") and not self.readers:
            raise UserError(f"--reference {self.reference} needs --readers", "the reference is made from these readers")
        if self.per == "study" and (self.readers or self.reference):
            raise UserError("--readers and --reference compare image by image", "leave out --per study")
        given = [name for name in ("image_column", "reader_column") if getattr(self, name)]
        given += ["uncertain"] if self.uncertain != "leave-out" else []
        if given and not self.readers and not self.reference:
            raise UserError(f"{', '.join(flag_of(self, name) for name in given)}: only with --readers or --reference", "")

    @property
    def reference_kind(self) -> tuple[str, list[str]]:
        """Kind of `--reference` (labels, table, majority, leave-one-out), with the path or the readers."""
        return parse_reference(self.reference)

    @property
    def bounds(self) -> tuple[float, float]:
        """High and low of `--groups`."""
        return parse_groups(self.groups)
