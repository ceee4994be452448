"""Options of `cxrlt calibrate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class CalibrateConfig:
    """Fit a calibration of the probabilities on validation; `predict --calibrate` applies it.

    Each class is fitted on its own, on the images with a known label of it. A class gets
    another method (isotonic falls back on platt, platt on temperature, temperature on platt) where it has too few positive
    patients, or where its calibration error, its log-loss or its mean probability would get worse on these images; it stays
    as it is where no method helps. The table says which method each class got. The order of images does not change, and so
    AP and AUROC do not.
    """

    predictions: str = flag(
        "",
        "Predictions of the validation split, or a run (its validation), by name or path.",
        metavar="PREDICTIONS",
        argument=True,
    )
    method: Literal["platt", "temperature", "isotonic"] = flag(
        "platt",
        "platt: logits scaled and shifted; temperature: scaled only; isotonic: the non-decreasing steps nearest to the labels.",
    )
    dataset: Path | None = flag(None, "The dataset with the labels [default: dataset.parquet]")
    name: str = flag("", "Name of the calibration: calibrations/NAME.json [default: from predictions and method]")
    json: bool = flag(False, "Print the calibration errors as JSON instead of a table.", name="--json")
    overwrite: bool = flag(False, "Replace an existing calibration.", name="--overwrite")

    def __post_init__(self) -> None:
        if not self.predictions:
            raise UserError("calibrate needs predictions of the validation split, or a run", "as in: cxrlt calibrate runs/a")
        if self.name:
            checked_name(self.name)
