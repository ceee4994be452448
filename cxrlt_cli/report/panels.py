"""Charts as data, drawn by the template of the page and by matplotlib."""

from dataclasses import dataclass, field

import numpy as np

from cxrlt_cli.labels.groups import GROUPS
from cxrlt_cli.metrics.calibration import sigmoid
from cxrlt_cli.metrics.curves import precision_recall, reliability, roc
from cxrlt_cli.report.metrics import Estimate, Numbers
from cxrlt_cli.report.operating_points import OperatingPoints
from cxrlt_cli.report.subjects import Subject

COLOUR_COUNT = 6  # of the page and of the figures
_MOST_POINTS = 160


@dataclass(frozen=True)
class Series:
    """A line of a chart.

    Attributes:
        name: of the subject or run.
        colour: index in `COLOURS`.
        x: (T,).
        y: (T,).
        low: (T,) lower bounds of the intervals; None without intervals.
        high: (T,) upper bounds.
        steps: a step function: horizontal, then vertical.
        dashed: a dashed line.
    """

    name: str
    colour: int
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    steps: bool = False
    dashed: bool = False


@dataclass(frozen=True)
class Mark:
    """A point of a chart: an operating point of the curve, or a reader.

    Attributes:
        rule: decides its shape: f1, specificity; reader, part (a reader who is part of the reference), panel.
        x: across.
        y: up.
        label: the name that a pointer shows.
    """

    rule: str
    x: float
    y: float
    label: str = ""


@dataclass(frozen=True)
class Panel:
    """A small chart.

    Attributes:
        title: above it.
        note: its main numbers.
        description: the chart in a sentence, for screen readers.
        x_label: below it.
        y_label: beside it.
        series: its lines.
        x_limits: of the axis.
        y_limits: of the axis.
        level: height of a horizontal reference line.
        diagonal: whether to draw a line from corner to corner.
        key: name by which the page filters it.
        marks: operating points of the first subject.
    """

    title: str
    note: str
    description: str
    x_label: str
    y_label: str
    series: list[Series]
    x_limits: tuple[float, float] = (0.0, 1.0)
    y_limits: tuple[float, float] = (0.0, 1.0)
    level: float | None = None
    diagonal: bool = False
    key: str = field(default="")
    marks: list[Mark] = field(default_factory=list)


def curve_panels(
    subjects: list[Subject], numbers: list[Numbers], order: list[int], kind: str, points: OperatingPoints
) -> list[Panel]:
    """One chart per class with a curve per subject. Classes without a curve are left out.

    Args:
        subjects: of the report.
        numbers: of each subject.
        order: columns of the classes.
        kind: `pr` or `roc`.
        points: of the first subject, marked on its curves.
    """
    return [panel for c in order if (panel := _curve_panel(subjects, numbers, c, kind, points)).series]


def _curve_panel(subjects: list[Subject], numbers: list[Numbers], c: int, kind: str, points: OperatingPoints) -> Panel:
    series, notes = [], []
    for index, (subject, number) in enumerate(zip(subjects, numbers, strict=True)):
        scored = subject.scored
        rows = scored.label_mask[:, c]
        x, y = (precision_recall if kind == "pr" else roc)(scored.logits[rows, c], scored.targets[rows, c])
        if kind == "pr":  # between two positives recall is constant, and precision only falls
            x, y = _rising(x, y)
        estimate = (number.ap if kind == "pr" else number.auroc)[c]
        if len(x):
            series.append(Series(subject.name, index, *_thinned(x, y), steps=kind == "pr"))
            notes.append(_with_interval(estimate) if len(subjects) == 1 else f"{estimate.value:.3f}")
    name, counts = subjects[0].scored.classes[c], numbers[0].per_class
    what, called = ("AP", "Precision-recall curve") if kind == "pr" else ("AUROC", "ROC curve")
    labels = ("recall (sensitivity)", "precision (PPV)") if kind == "pr" else ("1 - specificity", "sensitivity")
    return Panel(
        name,
        f"{what} {' / '.join(notes)}",
        f"{called} of {name}: {what} {', '.join(notes)}, {counts.positives[c]} positive images",
        *labels,
        series,
        level=float(counts.prevalence[c]) if kind == "pr" else None,
        diagonal=kind == "roc",
        key=name,
        marks=_marks(points, name, kind),
    )


def _with_interval(estimate: Estimate) -> str:
    bounds = "" if np.isnan(estimate.low) else f" ({estimate.low:.2f} to {estimate.high:.2f})"
    return f"{estimate.value:.3f}{bounds}"


def _marks(points: OperatingPoints, name: str, kind: str) -> list[Mark]:
    """The decisions of a class as points on its curve, if they are defined."""
    marks = []
    for row in points.of(name):
        x, y = (row["sensitivity"], row["ppv"]) if kind == "pr" else (row["specificity"], row["sensitivity"])
        if x is not None and y is not None and not np.isnan([x, y]).any():
            marks.append(Mark(row["rule"], float(x if kind == "pr" else 1 - x), float(y)))
    return marks


def _rising(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points at which recall increases, and the last one."""
    keep = np.diff(x, prepend=0.0) > 0
    keep[-1:] = True
    return x[keep], y[keep]


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most `_MOST_POINTS` points: evenly spaced along the length of the curve."""
    if len(x) <= _MOST_POINTS:
        return x, y
    way = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    keep = np.unique(np.searchsorted(way, np.linspace(0, way[-1], _MOST_POINTS)).clip(max=len(x) - 1))
    return x[keep], y[keep]


def reliability_panels(subjects: list[Subject], groups: list[str | None]) -> list[Panel]:
    """Predicted probability against observed fraction, of all labels and of each group."""
    named = np.array(groups, dtype=object)
    wanted = [("all labels", np.ones(len(groups), dtype=bool)), *((name, named == name) for name in GROUPS)]
    panels = []
    for title, members in wanted:
        if not members.any() or (title != "all labels" and members.all()):
            continue
        series, notes = [], []
        for index, subject in enumerate(subjects):
            scored = subject.scored
            label_mask = scored.label_mask[:, members]
            predicted = sigmoid(scored.logits[:, members][label_mask])
            patients = np.broadcast_to(scored.patients[:, None], label_mask.shape)[label_mask]
            found = reliability(predicted, scored.targets[:, members][label_mask], patients)
            series.append(Series(subject.name, index, found.predicted, found.observed, found.low, found.high))
            notes.append(f"{np.average(np.abs(found.predicted - found.observed), weights=found.count):.3f}")
        text = " / ".join(notes)
        description = f"Calibration of {title}: mean distance between predicted and observed {text}"
        labels = "predicted probability", "observed fraction"
        panels.append(Panel(title, f"error {text}", description, *labels, series, diagonal=True))
    return panels


def training_panels(subjects: list[Subject]) -> list[Panel]:
    """Loss and validation mAP by epoch of every available run of the subjects; each run has a colour."""
    runs = {name: epochs for subject in subjects for name, epochs in subject.histories.items()}
    loss, mean = [], []
    for index, (name, history) in enumerate(runs.items()):
        colour = index % COLOUR_COUNT
        epochs = np.array([row["epoch"] for row in history], dtype=float)
        of = {key: np.array([row[key] for row in history], dtype=float) for key in ("train_loss", "val_loss", "mAP")}
        loss.append(Series(name, colour, epochs, of["train_loss"], dashed=True))
        loss.append(Series(name, colour, epochs, of["val_loss"]))
        mean.append(Series(name, colour, epochs, of["mAP"]))
    if not mean:
        return []
    x = (min(float(one.x[0]) for one in mean), max(2.0, *(float(one.x[-1]) for one in mean)))
    best = [f"{np.nanmax(one.y):.3f} in epoch {int(one.x[np.nanargmax(one.y)])}" for one in mean]
    note = "best " + (
        best[0] if len(best) == 1 else "; ".join(f"{one.name} {text}" for one, text in zip(mean, best, strict=True))
    )
    highest = max(float(np.nanmax(one.y)) for one in loss)
    description = f"Loss by epoch of {', '.join(runs)}"
    top = nice(max(float(np.nanmax(one.y)) for one in mean))
    return [
        Panel("Loss", "dashed: training, solid: validation", description, "epoch", "loss", loss, x, (0, nice(highest))),
        Panel("Validation mAP", note, f"Validation mAP by epoch: {note}", "epoch", "mAP", mean, x, (0, top)),
    ]


def nice(value: float) -> float:
    """Rounds up to a round number for the end of an axis: 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 or 10 times a power of ten."""
    if not value > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= value * 0.999) * power)
