"""The figures of a report as PNG and SVG files, for slides and papers."""

from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.figure_file import figure_text, save_figure
from cxrlt_cli.labels.groups import GROUPS
from cxrlt_cli.report.cooccurrence import Cooccurrence, draw_cooccurrence
from cxrlt_cli.report.metrics import Numbers
from cxrlt_cli.report.panels import Panel, Series
from cxrlt_cli.report.subjects import Subject

#: Distinguishable with colour blindness and dark enough on white; the page has these, and lighter ones for dark screens.
COLOURS = ("#0b62a4", "#c04a00", "#007a5a", "#8e4585", "#7a6500", "#4a4a4a")
_INK, _GRAY, _GRID = "#1c1f22", "#5c636a", "#e3e6e8"
_FORMATS = ("png", "svg")
_ACROSS = 5
_SHAPES = {"reader": "^", "part": "^", "panel": "D"}  # of marks that are people


def draw_figures(
    folder: Path,
    subjects: list[Subject],
    numbers: list[Numbers],
    rows: list[dict[str, Any]],
    panels: dict[str, list[Panel]],
    pairs: Cooccurrence,
) -> None:
    """Draws all figures of a report. Raises UserError if the folder cannot be written to."""
    names = {one.name: index for index, one in enumerate(subjects)}
    titles = {"pr": "precision-recall", "readers_pr": "readers-precision-recall", "readers_roc": "readers-roc"}
    for kind, some in panels.items():
        if some:
            lines = {one.name: one.colour for one in some[-1].series} if kind == "training" else names
            _save(_grid(some, lines), folder / titles.get(kind, kind))
    _save(_classes(rows, names), folder / "average-precision")
    _save(_groups(numbers, names), folder / "groups")
    for name, counts in (("truth", pairs.labels), ("predictions", pairs.predicted)):
        draw_cooccurrence(counts, subjects[0].scored.classes, [folder / f"cooccurrence-{name}.{form}" for form in _FORMATS])


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _save(figure: Any, path: Path) -> None:
    for form in _FORMATS:
        save_figure(figure, path.with_name(f"{path.name}.{form}"), form)


def _grid(panels: list[Panel], names: dict[str, int]) -> Any:
    """Small charts side by side, with one legend."""
    across = min(_ACROSS, len(panels))
    down = -(-len(panels) // across)
    figure = _figure(2.3 * across + 0.3, 2.25 * down + 0.4)
    axes = np.atleast_1d(figure.subplots(down, across, squeeze=False)).ravel()
    for place, panel in zip(axes, panels, strict=False):
        _panel(place, panel)
    for place in axes[len(panels) :]:
        place.set_axis_off()
    _legend(figure, names)
    return figure


def _panel(axes: Any, panel: Panel) -> None:
    for series in panel.series:
        _line(axes, series)
    for mark in panel.marks:
        colour, fill = _INK if mark.rule in _SHAPES else COLOURS[0], _INK if mark.rule in ("reader", "panel") else "white"
        look = {"color": colour, "mfc": fill, "ms": 4, "zorder": 4, "clip_on": False}
        axes.plot(mark.x, mark.y, _SHAPES.get(mark.rule, "o" if mark.rule == "f1" else "s"), **look)
    if panel.diagonal:
        axes.plot(panel.x_limits, panel.y_limits, color=_GRAY, lw=0.7, ls=(0, (2, 2)), zorder=1)
    if panel.level is not None:
        axes.axhline(panel.level, color=_GRAY, lw=0.7, ls=(0, (2, 2)), zorder=1)
    axes.set_xlim(panel.x_limits)
    axes.set_ylim(panel.y_limits[0], panel.y_limits[1] * 1.02)
    axes.set_xlabel(panel.x_label, fontsize=7, color=_GRAY)
    axes.set_ylabel(panel.y_label, fontsize=7, color=_GRAY)
    axes.set_title(f"{figure_text(panel.title)}\n{panel.note}", fontsize=8, loc="left", color=_INK)
    _quiet(axes)


def _line(axes: Any, series: Series) -> None:
    look = {"color": COLOURS[series.colour], "lw": 1.3, "ls": (0, (3, 1.5)) if series.dashed else "-"}
    if series.low is not None and series.high is not None:
        bounds = np.abs(np.stack([series.y - series.low, series.high - series.y]))
        axes.errorbar(series.x, series.y, yerr=bounds, marker="o", ms=3, elinewidth=0.8, **look)
    elif series.steps:
        axes.step(np.append(0, series.x), np.append(series.y[:1], series.y), where="pre", **look)
    else:
        axes.plot(series.x, series.y, marker="o" if len(series.x) == 1 else None, ms=3, **look)


def _quiet(axes: Any) -> None:
    axes.grid(color=_GRID, lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=7, length=0, colors=_GRAY)
    for spine in axes.spines.values():
        spine.set_color(_GRID)


def _legend(figure: Any, names: dict[str, int]) -> None:
    """A legend of names and colours, if there are several."""
    if len(names) > 1:
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], color=COLOURS[index], lw=2, label=figure_text(name)) for name, index in names.items()]
        figure.legend(handles=handles, loc="outside upper left", ncols=min(len(names), 6), fontsize=8, frameon=False)


def _classes(rows: list[dict[str, Any]], names: dict[str, int]) -> Any:
    """AP of each class with its interval, and the prevalence, which is the AP of random scores."""
    figure = _figure(6.4, 1.0 + (0.24 + 0.09 * (len(names) - 1)) * len(rows))
    axes = figure.subplots()
    for index in range(len(names)):
        shift = 0.22 * (index - (len(names) - 1) / 2) if len(names) > 1 else 0.0
        for place, row in enumerate(rows):
            estimate = row["ap"] if index == 0 else row["others"][index - 1]
            axes.plot([estimate.low, estimate.high], [place + shift] * 2, color=COLOURS[index], lw=1.4, solid_capstyle="butt")
            axes.plot(estimate.value, place + shift, "o", color=COLOURS[index], ms=4)
    chance = [row["prevalence"] for row in rows]
    axes.plot(chance, range(len(rows)), "|", color=_GRAY, ms=9, mew=1.2, label="prevalence: AP of chance")
    axes.set_yticks(range(len(rows)), [f"{figure_text(row['name'])}  {row['positives']:,}" for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("average precision with its 95 % interval; after each name: positive images", fontsize=7, color=_GRAY)
    axes.legend(loc="lower right", fontsize=7, frameon=False)
    _quiet(axes)
    axes.tick_params(axis="y", labelsize=8, labelcolor=_INK)
    axes.grid(visible=False, axis="y")
    _legend(figure, names)
    return figure


def _groups(numbers: list[Numbers], names: dict[str, int]) -> Any:
    """Mean AP of all, head, medium and tail with intervals."""
    shown = [name for name in ("all", *GROUPS) if name in numbers[0].means]
    figure = _figure(1.2 + 1.3 * len(shown), 2.8)
    axes = figure.subplots()
    width = 0.7 / len(names)
    for index, number in enumerate(numbers):
        at = np.arange(len(shown)) + width * (index - (len(names) - 1) / 2)
        values = np.array([[getattr(number.means[name], key) for key in ("value", "low", "high")] for name in shown]).T
        axes.bar(at, values[0], width * 0.9, color=COLOURS[index])
        # the interval is around the corrected mean, which may lie off the end of the bar
        axes.vlines(at, values[1], values[2], color=_INK, lw=1)
        for x, value, high in zip(at, values[0], values[2], strict=True):
            top = value if np.isnan(high) else max(value, high)
            axes.annotate(f"{value:.3f}", (x, top), (0, 2), textcoords="offset points", ha="center", fontsize=7, color=_INK)
    axes.set_xticks(range(len(shown)), shown)
    axes.set_ylabel("mean AP, 95 % interval", fontsize=7, color=_GRAY)
    _quiet(axes)
    axes.grid(visible=False, axis="x")
    axes.tick_params(axis="x", labelsize=8, labelcolor=_INK)
    _legend(figure, names)
    return figure
