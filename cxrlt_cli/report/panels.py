"""Charts as data: the page draws them with its template, the files with matplotlib."""

from dataclasses import dataclass, field

import numpy as np

from cxrlt_cli.labels.groups import GROUPS
from cxrlt_cli.metrics.curves import precision_recall, reliability, roc
from cxrlt_cli.report.metrics import Numbers
from cxrlt_cli.report.subjects import Subject

_MOST_POINTS = 160


@dataclass(frozen=True)
class Series:
    """A line of a chart.

    Attributes:
        name: of the subject.
        colour: its number.
        x: (T,).
        y: (T,).
        low: (T,) and
        high: (T,) intervals, where there are.
        steps: the line goes along, then up or down.
        dashed: the lesser of two lines of one subject.
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
class Panel:
    """A small chart.

    Attributes:
        title: above it.
        note: its main figure.
        says: the chart in a sentence, for those who do not see it.
        x_label: below it.
        y_label: beside it.
        series: its lines.
        x_limits: of the axis.
        y_limits: of the axis.
        level: a horizontal line of reference.
        diagonal: whether there is a line from corner to corner.
        key: by which the page filters it.
    """

    title: str
    note: str
    says: str
    x_label: str
    y_label: str
    series: list[Series]
    x_limits: tuple[float, float] = (0.0, 1.0)
    y_limits: tuple[float, float] = (0.0, 1.0)
    level: float | None = None
    diagonal: bool = False
    key: str = field(default="")


def curve_panels(subjects: list[Subject], numbers: list[Numbers], order: list[int], kind: str) -> list[Panel]:
    """A chart a class with a curve a subject; `kind` is `pr` or `roc`. Classes without a curve are left out."""
    return [panel for c in order if (panel := _curve_panel(subjects, numbers, c, kind)).series]


def _curve_panel(subjects: list[Subject], numbers: list[Numbers], c: int, kind: str) -> Panel:
    series, notes = [], []
    for index, (subject, number) in enumerate(zip(subjects, numbers, strict=True)):
        scored = subject.scored
        rows = scored.label_mask[:, c]
        x, y = (precision_recall if kind == "pr" else roc)(scored.logits[rows, c], scored.targets[rows, c])
        if kind == "pr":  # where recall does not grow, precision only falls to the next positive: nothing to see
            x, y = _rising(x, y)
        estimate = (number.ap if kind == "pr" else number.auroc)[c]
        if len(x):
            series.append(Series(subject.name, index, *_thinned(x, y), steps=kind == "pr"))
            notes.append(f"{estimate.value:.3f}")
    name, figures = subjects[0].scored.classes[c], numbers[0].figures
    what, called = ("AP", "Precision-recall curve") if kind == "pr" else ("AUROC", "ROC curve")
    labels = ("recall", "precision") if kind == "pr" else ("false positive rate", "sensitivity")
    says = f"{called} of {name}: {what} {', '.join(notes)}, {figures.positives[c]} positives"
    return Panel(
        name,
        f"{what} {' / '.join(notes)}",
        says,
        *labels,
        series,
        level=float(figures.prevalence[c]) if kind == "pr" else None,
        diagonal=kind == "roc",
        key=name,
    )


def _rising(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    grows = np.diff(x, prepend=0.0) > 0
    return x[grows], y[grows]


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most `_MOST_POINTS` points: where a curve turns is more than what lies on the way."""
    if len(x) <= _MOST_POINTS:
        return x, y
    way = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    keep = np.unique(np.searchsorted(way, np.linspace(0, way[-1], _MOST_POINTS)).clip(max=len(x) - 1))
    return x[keep], y[keep]


def reliability_panels(subjects: list[Subject], groups: list[str | None]) -> list[Panel]:
    """Said against found, of all labels together and of each group."""
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
            said = _probability(scored.logits[:, members][label_mask])
            found = reliability(said, scored.targets[:, members][label_mask])
            series.append(Series(subject.name, index, found.said, found.found, found.low, found.high))
            notes.append(f"{np.average(np.abs(found.said - found.found), weights=found.count):.3f}")
        text = " / ".join(notes)
        says = f"Reliability of {title}: mean distance between said and found {text}"
        panels.append(Panel(title, f"error {text}", says, "said", "found", series, diagonal=True))
    return panels


def training_panels(subjects: list[Subject]) -> list[Panel]:
    """Loss and validation mAP by epoch, of the subjects whose run is there."""
    loss, mean = [], []
    for index, subject in enumerate(subjects):
        history = subject.history
        if history:
            epochs = np.array([row["epoch"] for row in history], dtype=float)
            of = {key: np.array([row[key] for row in history], dtype=float) for key in ("train_loss", "val_loss", "mAP")}
            loss.append(Series(f"{subject.name}, training", index, epochs, of["train_loss"], dashed=True))
            loss.append(Series(f"{subject.name}, validation", index, epochs, of["val_loss"]))
            mean.append(Series(subject.name, index, epochs, of["mAP"]))
    if not mean:
        return []
    last = max(float(one.x[-1]) for one in mean)
    x = (min(float(one.x[0]) for one in mean), max(last, 2.0))
    best = " / ".join(f"{np.nanmax(one.y):.3f} in epoch {int(one.x[np.nanargmax(one.y)])}" for one in mean)
    highest = max(float(np.nanmax(one.y)) for one in loss)
    return [
        Panel("Loss", "dashed: training", f"Loss by epoch, {len(mean)} run(s)", "epoch", "loss", loss, x, (0, nice(highest))),
        Panel(
            "Validation mAP",
            f"best {best}",
            f"Validation mAP by epoch: best {best}",
            "epoch",
            "mAP",
            mean,
            x,
            (0, nice(max(float(np.nanmax(one.y)) for one in mean))),
        ),
    ]


def nice(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten: where an axis may end."""
    if not value > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= value * 0.999) * power)


def _probability(logits: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))
