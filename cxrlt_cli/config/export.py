"""Options of `cxrlt export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class ExportConfig:
    """Write a run or an ensemble as one ONNX or PyTorch file.

    The file takes 8-bit gray squares and gives logits: normalisation and the merging of runs are part of it. It also holds the
    classes, pixel settings, calibration and thresholds. It is written only if its logits equal those of the run on images of
    the dataset. With --format onnx, a script is written beside it that scores image files without cxrlt.
    """

    #: Field -> the panel of `--help` that begins with it.
    PANELS: ClassVar[dict[str, str]] = {"model": "Model", "dataset": "Check", "name": "Output"}

    model: str = flag(
        "",
        "A run or an ensemble, by name or path [default: the newest finished run]",
        argument=True,
        metavar="[RUN|ENSEMBLE]",
    )
    format: Literal["onnx", "torch"] = flag("onnx", "onnx: for ONNX Runtime; torch: a program of torch.export (.pt2).")
    calibrate: str = flag("", "Include a fitted calibration: a name under calibrations/, or a file.")
    evaluation: str = flag(
        "",
        "Include thresholds of an evaluation of this model: a name under evaluations/, or its folder.",
        metavar="EVALUATION",
    )
    dataset: Path | None = flag(None, "Dataset whose images are compared [default: dataset.parquet]")
    compare: int = flag(64, "Images of the dataset on which the logits are compared, spread over its rows.", metavar="N")
    name: str = flag("", "Name of the file: exports/NAME.onnx or exports/NAME.pt2 [default: that of the model]")
    overwrite: bool = flag(False, "Replace an existing export.", name="--overwrite")

    def __post_init__(self) -> None:
        if self.compare < 1:
            raise UserError(f"--compare {self.compare} is less than 1", "64 images take seconds")
        if self.name:
            checked_name(self.name)
