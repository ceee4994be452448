"""The stage `calibrate`: what validation says of each class's probabilities becomes a calibration."""

import json
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.calibration import Calibration, write_calibration
from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.files import exclusive, refuse_existing
from cxrlt_cli.artifacts.json_files import without_nan
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.resolve import Entry, find_entry
from cxrlt_cli.config.calibrate import CalibrateConfig
from cxrlt_cli.console import data, say, table, warn
from cxrlt_cli.errors import UserError
from cxrlt_cli.metrics.calibration import expected_calibration_error, fit_isotonic, fit_temperature, sigmoid
from cxrlt_cli.options import saved
from cxrlt_cli.scores.apply_calibration import calibrated
from cxrlt_cli.scores.labelled import Scored, read_scored
from cxrlt_cli.workspace import Workspace, checked_name


def calibrate(config: CalibrateConfig, workspace: Workspace) -> None:
    """Fits a calibration and writes it.

    Raises:
        UserError: predictions that do not score the validation split or are calibrated already, or an output that exists.
    """
    entry = find_entry(config.predictions, workspace)
    name = checked_name(config.name or f"{entry.name}-{config.method}")
    path = workspace.calibrations / f"{name}.json"
    refuse_existing(path, config.overwrite)
    dataset = read_dataset(config.dataset or workspace.dataset)
    scored = read_scored(entry.path, dataset)
    _refuse_unfit(entry, scored)
    fitted = {label: _fit(scored, c, config.method) for c, label in enumerate(scored.classes)}
    left = [label for label, found in fitted.items() if not found]
    if left:
        warn(f"without a positive or without a negative, left as they are: {', '.join(left)}")
    made = Calibration(config.method, fitted, {}, path)
    errors = _errors(scored, made)
    said = {key: scored.header.get(key) for key in ("runs", "views", "merge", "split")}
    header = {
        "fitted_on": {"name": entry.name, "images": len(scored.table), **said},
        "errors": errors,
        "provenance": record(saved(config), [entry.path, dataset.path]),
    }
    with exclusive(path.with_name(f".{path.name}.lock")):
        refuse_existing(path, config.overwrite)
        write_calibration(Calibration(config.method, fitted, header, path))
    data(json.dumps(without_nan(errors), indent=1) if config.json else _as_text(errors))
    say(
        f"{config.method} fitted on {len(scored.table)} images of {entry.path}: {path}; "
        f"apply it with: cxrlt predict --calibrate {name}"
    )


def _refuse_unfit(entry: Entry, scored: Scored) -> None:
    if scored.split != "val":
        raise UserError(
            f"{entry.path} scores the {scored.split} split: calibrations are fitted on validation",
            "predict it: cxrlt predict --split val; or name a run, which keeps its validation",
        )
    if scored.header.get("calibration"):
        raise UserError(f"{entry.path} is calibrated already", "predict without --calibrate")


def _fit(scored: Scored, c: int, method: str) -> dict[str, Any]:
    """What `Calibration.fitted` holds of one class."""
    rows = scored.label_mask[:, c]
    logits, targets = scored.logits[rows, c], scored.targets[rows, c]
    if not 0 < targets.sum() < len(targets):
        return {}
    if method == "temperature":
        return {"temperature": fit_temperature(logits, targets)}
    places, values = fit_isotonic(logits, targets)
    least = 0.5 / len(targets)  # no finding is impossible because these images did not show it
    return {"logits": places.tolist(), "probabilities": np.clip(values, least, 1 - least).tolist()}


def _errors(scored: Scored, calibration: Calibration) -> list[dict[str, Any]]:
    """A row a class: its calibration error before and after, on the images it was fitted on."""
    after = calibrated(scored.logits, scored.classes, calibration)
    rows = []
    for c, label in enumerate(scored.classes):
        label_mask = scored.label_mask[:, c]
        before_p, after_p = sigmoid(scored.logits[label_mask, c]), sigmoid(after[label_mask, c])
        targets = scored.targets[label_mask, c]
        rows.append(
            {
                "class": label,
                "positives": int(targets.sum()),
                "ece_before": expected_calibration_error(before_p, targets),
                "ece_after": expected_calibration_error(after_p, targets),
                "temperature": calibration.fitted[label].get("temperature"),
            }
        )
    return rows


def _as_text(rows: list[dict[str, Any]]) -> str:
    def cell(value: float | None) -> str:
        return "-" if value is None or np.isnan(value) else f"{value:.4f}"

    figures = ("ece_before", "ece_after", "temperature")
    cells = [[row["class"], str(row["positives"]), *(cell(row[name]) for name in figures)] for row in rows]
    note = "errors on the images fitted on; how well it holds elsewhere: cxrlt evaluate"
    return table(["class", "positives", "ECE before", "ECE after", "temperature"], cells) + "\n\n" + note
