"""The stage `calibrate`: fits a calibration of each class's probabilities on the validation split."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.calibration import Calibration, CalibrationHeader, FittedOn, write_calibration
from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.files import claimed, fingerprint, refuse_existing
from cxrlt_cli.artifacts.json_files import without_nan
from cxrlt_cli.artifacts.provenance import record, refuse_replaced
from cxrlt_cli.artifacts.resolve import Entry, find_entry
from cxrlt_cli.config.calibrate import CalibrateConfig
from cxrlt_cli.console import data, say, table
from cxrlt_cli.errors import UserError
from cxrlt_cli.metrics.calibration import expected_calibration_error, sigmoid
from cxrlt_cli.metrics.calibration_fits import (
    cross_entropy,
    fit_isotonic,
    fit_platt,
    fit_temperature,
    order_keeping_points,
)
from cxrlt_cli.options import saved
from cxrlt_cli.results import FittedCalibration
from cxrlt_cli.scores.apply_calibration import calibrated_column
from cxrlt_cli.scores.labelled import Scored, read_scored
from cxrlt_cli.workspace import Workspace, checked_name

Row = dict[str, Any]
#: Positive patients, and negative patients, that a method needs.
_LEAST_PATIENTS = {"isotonic": 10, "platt": 5, "temperature": 1}
#: Methods in the order in which they are tried. Temperature alone cannot correct a class's mean probability, Platt can.
_TRIED = {
    "isotonic": ("isotonic", "platt", "temperature"),
    "platt": ("platt", "temperature"),
    "temperature": ("temperature", "platt"),
}
_ERRORS = {"ece": "calibration error", "log_loss": "log-loss", "mean_error": "mean probability"}


def calibrate(config: CalibrateConfig, workspace: Workspace) -> FittedCalibration:
    """Fits a calibration and writes it.

    Raises:
        UserError: predictions that do not score the validation split or are calibrated already, an output that exists, or an
            input that is replaced meanwhile.
    """
    entry = find_entry(config.predictions, workspace)
    name = checked_name(config.name or f"{entry.name}-{config.method}")
    path = workspace.calibrations / f"{name}.json"
    refuse_existing(path, config.overwrite)
    inputs = [fingerprint(one) for one in (entry.path, config.dataset or workspace.dataset)]
    dataset = read_dataset(config.dataset or workspace.dataset)
    scored = read_scored(entry.path, dataset)
    _refuse_unsuitable(entry, scored)
    fits = {label: fit_class(scored, c, config.method) for c, label in enumerate(scored.classes)}
    rows = [{"class": label, **one.row} for label, one in fits.items()]
    made = scored.header
    fitted_on = FittedOn(entry.name, len(scored.table), made.runs, made.views, made.merge, made.split)
    header = CalibrationHeader(fitted_on, rows, dataset.header.data_sources, record(saved(config), inputs))
    fitted = {label: one.fitted for label, one in fits.items()}
    with claimed(path, config.overwrite):
        refuse_replaced(inputs)
        write_calibration(Calibration(config.method, fitted, header, path))
    data(json.dumps(without_nan(rows), indent=1) if config.json else _as_text(rows))
    say(
        f"{config.method} fitted on {len(scored.table)} images of {entry.path}: {path}; "
        f"apply it with: cxrlt {'evaluate' if scored.header.imported else 'predict'} --calibrate {name}"
    )
    return FittedCalibration(path, config.method, rows)


def _refuse_unsuitable(entry: Entry, scored: Scored) -> None:
    if scored.split != "val" and not scored.header.out_of_fold:
        raise UserError(
            f"{entry.path} scores the {scored.split} split: calibrations are fitted on validation",
            "score that split: cxrlt predict --split val; or give a run: it keeps its validation scores",
        )
    if scored.header.calibration:
        raise UserError(f"{entry.path} is calibrated already", "predict without --calibrate")


@dataclass(frozen=True)
class ClassFit:
    """The fit of one class.

    Attributes:
        fitted: its entry of `Calibration.fitted`.
        row: `method` that was used, `reason` if it is not the requested one, and errors before and after.
    """

    fitted: dict[str, Any]
    row: Row


def fit_class(scored: Scored, c: int, method: str) -> ClassFit:
    """Fits a class by the requested method, or the next one of `_TRIED` that has enough patients and increases no error.

    Args:
        scored: the validation split.
        c: column of the class.
        method: platt, temperature or isotonic.
    """
    rows = scored.label_mask[:, c]
    logits, targets = scored.logits[rows, c].astype(np.float32), scored.targets[rows, c]
    patients = [len(np.unique(scored.patients[rows][targets == value])) for value in (1, 0)]
    before = _errors(logits, targets)
    reasons = []
    for name in _TRIED[method]:
        if min(patients) < _LEAST_PATIENTS[name]:
            few, kind = min(zip(patients, ("positive", "negative"), strict=True))
            reasons.append(f"{name}: {few} {kind} patients, fewer than {_LEAST_PATIENTS[name]}")
            continue
        fitted = _fitted(name, logits, targets)
        after = _errors(calibrated_column(logits, fitted), targets)
        worse = [what for key, what in _ERRORS.items() if after[key] > before[key] + 1e-9]
        if not worse:
            break
        reasons.append(f"{name}: worse {' and '.join(worse)} on these images")
    else:
        name, fitted, after = "none", {}, before
    errors = {f"{key}_{when}": found[key] for key in before for when, found in (("before", before), ("after", after))}
    facts = {"positives": int(targets.sum()), "positive_patients": patients[0], "method": name, "reason": "; ".join(reasons)}
    numbers = {key: fitted.get(key) for key in ("temperature", "bias")}
    prevalence = float(targets.mean()) if len(targets) else float("nan")
    return ClassFit(fitted, {**facts, "prevalence": prevalence, **errors, **numbers})


def _fitted(method: str, logits: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    if method == "temperature":
        return {"temperature": fit_temperature(logits, targets)}
    if method == "platt":
        slope, bias = fit_platt(logits, targets)
        return {"temperature": 1 / slope, "bias": bias}
    places, probabilities = order_keeping_points(fit_isotonic(logits, targets))
    return {"logits": places.tolist(), "probabilities": probabilities.tolist()}


def _errors(logits: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Of one class: calibration error, log-loss, mean probability, and its distance from the fraction of positives."""
    p = sigmoid(logits)
    mean = float(p.mean()) if len(p) else float("nan")
    return {
        "ece": expected_calibration_error(p, targets),
        "log_loss": cross_entropy(logits, targets),
        "mean": mean,
        "mean_error": abs(mean - float(targets.mean())) if len(p) else float("nan"),
    }


def _as_text(rows: list[Row]) -> str:
    def cell(value: float | None) -> str:
        return "-" if value is None or np.isnan(value) else f"{value:.4f}"

    columns = {
        "ECE before": "ece_before", "after": "ece_after", "log-loss before": "log_loss_before", "after ": "log_loss_after",
        "prevalence": "prevalence", "mean p before": "mean_before", "after  ": "mean_after",
    }  # fmt: skip
    cells = [
        [row["class"], str(row["positives"]), row["method"], *(cell(row[name]) for name in columns.values())] for row in rows
    ]
    lines = [table(["class", "positives", "method", *columns], cells), ""]
    lines += [f"{row['class']}: {row['method']} ({row['reason']})" for row in rows if row["reason"]]
    lines.append("these errors are on the images used for fitting; to evaluate other images: cxrlt evaluate --calibrate NAME")
    return "\n".join(lines)
