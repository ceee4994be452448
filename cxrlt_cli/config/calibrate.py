"""Options of `cxrlt calibrate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class CalibrateConfig:
    """Fit a calibration of probabilities on validation scores.

    `cxrlt predict --calibrate` applies it. Each class is fitted alone, on the images whose label is known. A class with too few
    positive patients, or whose calibration error, log-loss or mean probability would get worse on these images, gets another
    method (isotonic falls back to platt, platt to temperature, temperature to platt) or none; the table shows which. The order
    of images, and so AP and AUROC, does not change.
    """

    predictions: str = flag(
        "",
        "Predictions of the validation split, or a run (its validation scores), by name or path.",
        metavar="PREDICTIONS",
        argument=True,
    )
    method: Literal["platt", "temperature", "isotonic"] = flag(
        "platt",
        "platt: scale and shift the logits of a class. temperature: scale only. isotonic: a non-decreasing step function.",
    )
    dataset: Path | None = flag(None, "Dataset with the labels [default: dataset.parquet]")
    name: str = flag("", "Name of the calibration: calibrations/NAME.json [default: from predictions and method]")
    json: bool = flag(False, "Print the calibration errors as JSON instead of a table.", name="--json")
    overwrite: bool = flag(False, "Replace an existing calibration.", name="--overwrite")

    def __post_init__(self) -> None:
        if not self.predictions:
            raise UserError("calibrate needs predictions of the validation split, or a run", "as in: cxrlt calibrate runs/a")
        if self.name:
            checked_name(self.name)
