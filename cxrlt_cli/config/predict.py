"""Options of `cxrlt predict`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from cxrlt_cli.config.encoder_name import EncoderName, parse_encoder
from cxrlt_cli.config.grammar import STUDY_HELP, parse_study, parse_weights
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name

VIEW_COUNT = 16


@dataclass(frozen=True)
class PredictConfig:
    """Score images with one run, an ensemble, or a model of images and texts.

    Scores a split of the dataset or a folder of images, into predictions/NAME.parquet: a logit per class. Each image is read
    once, and all views of it are made in memory.
    """

    #: Field -> the panel of `--help` that begins with it.
    PANELS: ClassVar[dict[str, str]] = {
        "runs": "Model",
        "split": "Images",
        "tta": "Scores",
        "batch_size": "Hardware",
        "name": "Output",
    }

    runs: tuple[str, ...] = flag(
        (), "Runs, by name under runs/ or folder; several form an ensemble [default: the newest finished run]", argument=True
    )
    ensemble: str = flag(
        "", "Use the runs and weights of an ensemble instead: a name under ensembles/, or a file.", metavar="ENSEMBLE"
    )
    pack: Path | None = flag(None, "Use a model that cxrlt pack wrote instead; no other file is needed.", metavar="FILE.zip")
    member_weights: str = flag("", "Weights of the runs, in their order [default: equal]", metavar="W,W,…")
    zero_shot: str = flag(
        "",
        "Score with a model of images and texts instead of runs, without training; needs --labels and the extra open_clip.",
        metavar="open_clip:hf-hub:OWNER/NAME|open_clip:local-dir:PATH",
    )
    labels: Path | None = flag(
        None,
        "Score these labels instead of the trained ones, with a run of --classifier text or with --zero-shot: a CSV with the "
        "columns class,prompt and, optionally, description; several texts of a class: a row each.",
        metavar="FILE.csv",
    )
    split: Literal["train", "val", "test"] = flag("test", "Split of the dataset to score.")
    dataset: Path | None = flag(None, "Dataset [default: dataset.parquet]")
    images: Path | None = flag(None, "Score the PNG, JPEG and DICOM files of this folder instead.", metavar="FOLDER")
    only: Path | None = flag(
        None, "Only these images of the folder: a CSV or Parquet with an id and a path column.", metavar="TABLE", name="--list"
    )
    id_column: str = flag("dicom_id", "Id column of --list and of --submission.")
    path_column: str = flag("", "Column of --list with paths relative to the folder [default: path or fpath if present]")
    invert_column: str = flag("", "Column of --list that is 1 or MONOCHROME1 for inverted images.")
    study_column: str = flag("study_id", "Column of --list with the study id, unique across patients.")
    view_column: str = flag("", "Column of --list with the view: AP, PA, LATERAL … [default: ViewPosition if present]")
    tta: int = flag(1, f"Test-time augmentation: use the first N of {VIEW_COUNT} views; 1: only the original.", metavar="N")
    merge: Literal["geomean", "mean", "logits"] | None = flag(
        None,
        "How to merge views and runs: geometric or arithmetic mean of probabilities, or mean of logits [default: geomean, or "
        "as the ensemble]",
    )
    study: str = flag("none", STUDY_HELP, metavar="RULE")
    calibrate: str = flag(
        "", "Apply a fitted calibration: a name under calibrations/, or a file; with --pack, `pack` is the one in the pack."
    )
    batch_size: int = flag(64, "Images per forward pass.")
    device: Literal["auto", "cpu", "cuda", "mps"] = flag("auto", "Device; auto: a CUDA GPU if there is one.")
    precision: Literal["fp32", "bf16", "fp16"] = flag(
        "fp32", "Precision of convolutions and matrix products. bf16: up to 2 times faster, scores change in the third digit."
    )
    compile: bool = flag(
        False,
        "Compile the networks with torch.compile, which takes about a minute each; for many images on a GPU.",
        name="--compile",
    )
    workers: int = flag(0, "Threads that decode the images of a folder [default: one per core]", most=1024)
    verify: bool = flag(False, "First compare the pixels of the split with their checksums.", name="--verify")
    name: str = flag("", "Name of the predictions: predictions/NAME.parquet [default: from runs, split and views]")
    submission: Path | None = flag(
        None, "Also write the challenge's CSV: an id and one probability per class.", metavar="FILE.csv"
    )
    overwrite: bool = flag(False, "Replace existing predictions.", name="--overwrite")

    def __post_init__(self) -> None:
        if not 1 <= self.tta <= VIEW_COUNT:
            raise UserError(f"--tta {self.tta} is not within 1 … {VIEW_COUNT}", "8 takes the first eight views")
        if self.only and not self.images:
            raise UserError("--list needs --images", "its paths are relative to that folder: --images FOLDER --list TABLE")
        if self.invert_column and not self.only:
            raise UserError("--invert-column needs --list", "it is a column of that table")
        if self.study_weights and self.images and not self.only:
            raise UserError("--study with --images needs --list", "that table says which images are of one study")
        if self.verify and self.images:
            raise UserError("--verify is for the pixels of a dataset", "the files of --images FOLDER have no checksums")
        self._check_members()
        self._check_zero_shot()
        if self.batch_size < 1 or self.workers < 0:
            raise UserError("--batch-size is at least 1 and --workers at least 0", "see cxrlt predict --help")
        if self.name:
            checked_name(self.name)

    def _check_members(self) -> None:
        if self.pack and (self.ensemble or self.runs or self.member_weights or self.merge):
            raise UserError(
                "--pack says which runs, --ensemble, --member-weights and --merge: they are not given beside it",
                "leave them out, or leave out --pack",
            )
        if self.ensemble and (self.runs or self.member_weights or self.merge):
            raise UserError(
                "--ensemble already sets the runs, --member-weights and --merge",
                "leave them out, or name the runs instead of the ensemble",
            )
        self.weights  # noqa: B018 - checked before any work

    def _check_zero_shot(self) -> None:
        if not self.zero_shot:
            return
        self.towers  # noqa: B018 - checked before any work
        if self.labels is None:
            raise UserError("--zero-shot needs --labels", "a CSV with the columns class,prompt says which texts it scores")
        given = {
            "runs": bool(self.runs),
            "--ensemble": bool(self.ensemble),
            "--pack": self.pack is not None,
            "--member-weights": bool(self.member_weights),
            "--compile": self.compile,
        }
        beside = [name for name, value in given.items() if value]
        if beside:
            raise UserError(
                f"--zero-shot scores without runs: {listed(beside)} cannot be given beside it",
                "leave them out; cxrlt ensemble merges its predictions with those of runs",
            )

    @property
    def towers(self) -> EncoderName:
        """The model of `--zero-shot`. Raises UserError where it is no name of a model of open_clip."""
        hint = "give open_clip:hf-hub:OWNER/NAME or open_clip:local-dir:PATH"
        try:
            name = parse_encoder(self.zero_shot)
        except UserError as error:
            raise UserError(f"--zero-shot {self.zero_shot} is not the name of a model", hint) from error
        if name.library != "open_clip":
            raise UserError(f"--zero-shot {self.zero_shot} is not a model of images and texts of open_clip", hint)
        return name

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
        if self.pack:
            runs = [self.pack.stem]
        what = (self.only.name.split(".")[0] if self.only else self.images.resolve().name) if self.images else self.split
        labels = f"-{self.labels.stem}" if self.labels else ""
        views = f"-tta{self.tta}" if self.tta > 1 else ""
        means = f"-{self.merge}" if self.merge not in (None, "geomean") and (self.tta > 1 or len(runs) > 1) else ""
        study = "" if self.study == "none" else f"-study{self.study.replace(':', '_')}"
        calibrated = f"-{Path(self.calibrate).stem}" if self.calibrate else ""
        precision = "" if self.precision == "fp32" else f"-{self.precision}"
        return f"{'+'.join(runs)}-{what}{labels}{views}{means}{study}{calibrated}{precision}"
