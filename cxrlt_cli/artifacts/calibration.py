"""`calibrations/NAME.json`: how each class's logits become calibrated logits."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.data_sources import DataSource
from cxrlt_cli.artifacts.files import write_text
from cxrlt_cli.artifacts.json_files import read_figures, without_nan
from cxrlt_cli.artifacts.parsing import parse, plain
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.errors import UserError

FORMAT, VERSION = "cxrlt calibration", 2
_OLDEST = 1  # without `bias`


@dataclass(frozen=True)
class FittedOn:
    """The predictions that a calibration was fitted on; versions before 0.2 may lack any of it."""

    name: str = ""
    images: int = 0
    runs: list[str] | None = None
    views: int | None = None
    merge: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class CalibrationHeader:
    """How a calibration was fitted: on which predictions, with which errors of each class, a row per class.

    `data_sources` are those of the labels that it was fitted to; None in earlier versions.
    """

    fitted_on: FittedOn = field(default_factory=FittedOn)
    errors: list[dict[str, Any]] = field(default_factory=list)
    data_sources: list[DataSource] | None = None
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True)
class Calibration:
    """A calibration fitted on the validation split.

    Attributes:
        method: temperature, platt or isotonic, as asked for; `errors` of the header has each class's own.
        fitted: class -> `temperature`, one number above 0, and `bias`, added to logit / temperature; or points, ascending in
            both: `logits`, and `probabilities` there, between 0 and 1. Empty where the class stays as it is.
        header: how it was fitted.
        path: the file.
    """

    method: str
    fitted: dict[str, dict[str, Any]]
    header: CalibrationHeader
    path: Path


def write_calibration(calibration: Calibration) -> None:
    """Writes a calibration to its path."""
    content = {"format": FORMAT, "version": VERSION, "method": calibration.method, **plain(calibration.header)}
    text = json.dumps(without_nan({**content, "fitted": calibration.fitted}), indent=1, allow_nan=False)
    write_text(calibration.path, text + "\n")


def read_calibration(path: Path) -> Calibration:
    """Reads a calibration.

    Raises:
        UserError: not there, not JSON, not a calibration, or with numbers that no fit gives.
    """
    hint = "cxrlt calibrate"
    content = read_figures(path, FORMAT, VERSION, hint, _OLDEST)
    fitted, again = content.get("fitted"), f"make it again with: {hint} --overwrite"
    method = parse(_Saved, content, path, again).method
    if not isinstance(fitted, dict) or not all(sound_fit(entry) for entry in fitted.values()):
        raise UserError(f"{path} is damaged: it has a class whose calibration no fit gives", again)
    return Calibration(method, fitted, parse(CalibrationHeader, content, path, again), path)


@dataclass(frozen=True)
class _Saved:
    """What the file must hold besides `fitted` and the header."""

    method: str


def sound_fit(entry: Any) -> bool:
    """Whether a class's entry is empty, a temperature above 0 with a finite bias, or points that ascend."""
    try:
        if "temperature" in entry:
            return 0 < float(entry["temperature"]) < float("inf") and abs(float(entry.get("bias", 0.0))) < float("inf")
        logits, values = [float(x) for x in entry.get("logits", ())], [float(x) for x in entry.get("probabilities", ())]
    except (TypeError, ValueError, AttributeError, OverflowError):
        return False
    ascending = sorted(set(logits)) == logits and sorted(values) == values
    return len(logits) == len(values) and ascending and all(0 < value < 1 for value in values)
