"""Options of `cxrlt predict`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.config.grammar import STUDY_HELP, parse_study, parse_weights
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name

VIEW_COUNT = 16


@dataclass(frozen=True)
class PredictConfig:
    """Score images with one run or an ensemble.

    A split, or a folder of new images, to predictions/NAME.parquet: a logit a class. Each image is read once; every view of
    it is made from the pixels in memory and scored by every run.
    """

    runs: tuple[str, ...] = flag(
        (), "Runs, by name under runs/ or by folder; several are an ensemble [default: the newest finished run]", argument=True
    )
    ensemble: str = flag(
        "", "Members and weights of cxrlt ensemble instead: a name under ensembles/, or a file.", metavar="ENSEMBLE"
    )
    member_weights: str = flag("", "Weights of the runs, in their order [default: equal]", metavar="W,W,…")
    split: Literal["train", "val", "test"] = flag("test", "Split of the dataset to score.")
    images: Path | None = flag(None, "Score the PNG, JPEG and DICOM files of this folder instead of a split.", metavar="FOLDER")
    only: Path | None = flag(
        None, "Only these images of the folder: a CSV or Parquet with an id and a path column.", metavar="TABLE", name="--list"
    )
    path_column: str = flag(
        "", "Column of --list with paths from the folder; ids are in --id-column. [default: path or fpath where there]"
    )
    invert_column: str = flag("", "Column of --list that says 1 or MONOCHROME1 where a picture shows dense tissue dark.")
    tta: int = flag(1, f"Test-time augmentation: the first N of {VIEW_COUNT} views; 1 is the image as it is.", metavar="N")
    merge: Literal["geomean", "mean", "logits"] | None = flag(
        None,
        "Views and runs are merged by the geometric or arithmetic mean of probabilities, or the mean of logits [default: "
        "geomean, or the ensemble's own]",
    )
    study: str = flag("none", STUDY_HELP, metavar="RULE")
    study_column: str = flag("study_id", "Column of --list with the study, which must differ between patients.")
    view_column: str = flag("ViewPosition", "Column of --list with the view: AP, PA, LATERAL …")
    calibrate: str = flag("", "Make probabilities true by a calibration: a name under calibrations/, or a file.")
    dataset: Path | None = flag(None, "The dataset [default: dataset.parquet]")
    name: str = flag("", "Name of the predictions: predictions/NAME.parquet [default: from runs, split and views]")
    submission: Path | None = flag(None, "Also write the challenge's CSV: an id and a probability a class.", metavar="FILE.csv")
    id_column: str = flag("dicom_id", "Name of the id column, in that CSV and in --list.")
    batch_size: int = flag(64, "Images a forward pass.")
    device: Literal["auto", "cpu", "cuda"] = flag("auto", "Where to compute; auto takes a GPU where there is one.")
    precision: Literal["fp32", "bf16", "fp16"] = flag(
        "fp32", "Of convolutions and products: bf16 may be twice as fast, and moves scores in their third digit."
    )
    workers: int = flag(0, "Processes that decode a folder's images [default: one for each core]")
    overwrite: bool = flag(False, "Replace existing predictions.", name="--overwrite")

    def __post_init__(self) -> None:
        if not 1 <= self.tta <= VIEW_COUNT:
            raise UserError(f"--tta {self.tta} is not within 1 … {VIEW_COUNT}", "8 takes the first eight views")
        if self.only and not self.images:
            raise UserError("--list needs --images", "its paths count from that folder: --images FOLDER --list TABLE")
        if self.invert_column and not self.only:
            raise UserError("--invert-column needs --list", "it is a column of that table")
        if self.study_weights and self.images and not self.only:
            raise UserError("--study with --images needs --list", "that table says which images are of one study")
        self._check_members()
        if self.batch_size < 1 or self.workers < 0:
            raise UserError("--batch-size is at least 1 and --workers at least 0", "see cxrlt predict --help")
        if self.name:
            checked_name(self.name)

    def _check_members(self) -> None:
        if self.ensemble and (self.runs or self.member_weights or self.merge):
            raise UserError(
                "--ensemble says which runs, --member-weights and --merge: they are not given beside it",
                "leave them out, or name the runs instead of the ensemble",
            )
        self.weights  # noqa: B018 - checked before any work

    @property
    def study_weights(self) -> tuple[float, float] | None:
        """The weights of a frontal and a lateral image of `--study`; None where studies are not merged."""
        return parse_study(self.study)

    @property
    def weights(self) -> list[float] | None:
        """The numbers of `--member-weights`; None for equal ones."""
        return parse_weights(self.member_weights, len(self.runs)) if self.member_weights else None

    def artifact_name(self, runs: list[str]) -> str:
        """The name under `predictions/`."""
        if self.name:
            return self.name
        if self.ensemble:
            runs = [Path(self.ensemble).name.removesuffix(".json")]
        what = (self.only.name.split(".")[0] if self.only else self.images.resolve().name) if self.images else self.split
        views = f"-tta{self.tta}" if self.tta > 1 else ""
        means = f"-{self.merge}" if self.merge not in (None, "geomean") and (self.tta > 1 or len(runs) > 1) else ""
        study = "" if self.study == "none" else f"-study{self.study.replace(':', '_')}"
        calibrated = f"-{Path(self.calibrate).stem}" if self.calibrate else ""
        precision = "" if self.precision == "fp32" else f"-{self.precision}"
        return f"{'+'.join(runs)}-{what}{views}{means}{study}{calibrated}{precision}"
