"""Coordinates of a chart for the template of the page."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrlt_cli.report.panels import Panel, Series

WIDTH, HEIGHT = 240, 208
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 18, 32


@dataclass(frozen=True)
class Frame:
    """Maps the data of a panel to px."""

    panel: Panel

    def x(self, value: float) -> float:
        """Horizontal position, px."""
        low, high = self.panel.x_limits
        return round(_LEFT + (value - low) / (high - low) * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        """Vertical position from the top, px."""
        low, high = self.panel.y_limits
        return round(HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM), 1)


def drawn(panel: Panel) -> dict[str, Any]:
    """Paths, ticks and marks of a panel, in px of a chart of WIDTH by HEIGHT."""
    frame = Frame(panel)
    x_low, x_high = panel.x_limits
    y_low, y_high = panel.y_limits
    return {
        "panel": panel,
        "width": WIDTH,
        "height": HEIGHT,
        "left": _LEFT,
        "right": WIDTH - _RIGHT,
        "top": _TOP,
        "bottom": HEIGHT - _BOTTOM,
        "x_ticks": [(frame.x(value), _short(value)) for value in _ticks(x_low, x_high, whole=x_high > 1)],
        "y_ticks": [(frame.y(value), _short(value)) for value in _ticks(y_low, y_high)],
        "diagonal": _path([(frame.x(x_low), frame.y(y_low)), (frame.x(x_high), frame.y(y_high))]) if panel.diagonal else "",
        "level": None if panel.level is None else frame.y(panel.level),
        "lines": [_line(frame, series) for series in panel.series],
        "marks": [(mark.rule, frame.x(mark.x), frame.y(mark.y), mark.label) for mark in panel.marks],
    }


def _line(frame: Frame, series: Series) -> dict[str, Any]:
    points = [(frame.x(x), frame.y(y)) for x, y in zip(series.x.tolist(), series.y.tolist(), strict=True)]
    whiskers: list[tuple[float, float, float]] = []
    if series.low is not None and series.high is not None:
        bounds = zip(points, series.low.tolist(), series.high.tolist(), strict=True)
        whiskers = [(x, frame.y(low), frame.y(high)) for (x, _), low, high in bounds]
    marks = points if whiskers or len(points) <= 1 else []
    return {
        "colour": series.colour,
        "path": _stepped(points) if series.steps else _path(points),
        "dashed": series.dashed,
        "marks": marks,
        "whiskers": whiskers,
    }


def _path(points: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points) if points else ""


def _stepped(points: list[tuple[float, float]]) -> str:
    """A step function: a precision holds from the previous recall up to its own."""
    if not points:
        return ""
    text = f"M{_LEFT} {points[0][1]:g}"
    return text + "".join(f"V{y:g}H{x:g}" for x, y in points)


def _ticks(low: float, high: float, whole: bool = False) -> list[float]:
    if whole:
        step = max(1, -(-int(high - low) // 5))
        return [float(value) for value in range(int(low), int(high) + 1, step)]
    return [float(value) for value in np.linspace(low, high, 5)]


def _short(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if value else "0"
