"""Options of `cxrlt calibrate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class CalibrateConfig:
    """Learn from validation how to make probabilities true; `predict --calibrate` applies it.

    Each class on its own, over the images whose label of it is known. The order of images, and with it AP and AUROC, stays
    as it is.
    """

    predictions: str = flag(
        "",
        "Predictions of the validation split, or a run (its validation), by name or path.",
        metavar="PREDICTIONS",
        argument=True,
    )
    method: Literal["temperature", "isotonic"] = flag(
        "temperature", "For each class: logits divided by one number, or the non-decreasing steps nearest to the labels."
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
