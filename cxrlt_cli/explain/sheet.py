"""The sheet of `explain`: an image, and for each label an attention map and an attribution map."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.figure_file import save_figure
from cxrlt_cli.console import escaped
from cxrlt_cli.explain.explain_image import Explained
from cxrlt_cli.explain.heatmap import ATTENTION, ATTRIBUTION, enlarged, marked, overlay, peak_of

_COLUMNS, _SIDE = 5, 2.5  # labels per row; inches per picture
_GRAY, _INK = "#6b6b6b", "#1a1a1a"


@dataclass(frozen=True)
class Subject:
    """What a sheet shows.

    Attributes:
        name: of the image.
        pixels: (S, S) uint8, the input of the network.
        classes: names of the network's labels.
        truth: class -> 1, 0 or None where unknown; empty for an image that is not of the dataset.
        attention: name of the attention map in the legend.
        attribution: name of the attribution map in the legend.
    """

    name: str
    pixels: np.ndarray
    classes: list[str]
    truth: dict[str, int | None]
    attention: str
    attribution: str


def draw_sheet(subject: Subject, explained: Explained, path: Path) -> None:
    """Draws the sheet as PNG. Raises UserError if it cannot be written."""
    from matplotlib.figure import Figure

    kinds = [kind for kind in _kinds(subject, explained) if kind[1] is not None]
    bands = -(-len(explained.labels) // _COLUMNS)
    across = min(_COLUMNS, len(explained.labels)) + 1
    shape = (bands * len(kinds), across)
    height = bands * (len(kinds) * _SIDE + 0.45) + 0.3
    figure = Figure(figsize=(across * _SIDE + 0.3, height), layout="constrained", facecolor="white")
    figure.get_layout_engine().set(h_pad=0.09, w_pad=0.04)  # type: ignore[union-attr, call-arg]
    grid: Any = figure.subplots(*shape, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    _picture(grid[0, 0], subject.pixels, _short(Path(subject.name).name))
    _legend(grid[1 if len(kinds) > 1 else 0, 0], subject, explained, below=len(kinds) == 1)
    for number, label in enumerate(explained.labels):
        band, column = divmod(number, _COLUMNS)
        for row, (_, maps, colour) in enumerate(kinds):
            axes = grid[band * len(kinds) + row, column + 1]
            assert maps is not None
            _picture(axes, subject.pixels, _title(subject, explained, label) if row == 0 else "")
            _lay(axes, maps[number], len(subject.pixels), colour)
    save_figure(figure, path, "png", dpi=150)


def _kinds(subject: Subject, explained: Explained) -> list[tuple[str, np.ndarray | None, tuple[int, int, int]]]:
    return [(subject.attention, explained.attention, ATTENTION), (subject.attribution, explained.attribution, ATTRIBUTION)]


def _picture(axes: Any, pixels: np.ndarray, title: str) -> None:
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="lanczos")
    axes.set_title(title, fontsize=9, loc="left", color=_INK, parse_math=False)


def _lay(axes: Any, values: np.ndarray, size: int, colour: tuple[int, int, int]) -> None:
    axes.imshow(overlay(values, size, colour), interpolation="bilinear")
    peak = peak_of(values)
    if np.isfinite(peak):
        line = tuple(value / 255 for value in colour)
        axes.contour(marked(enlarged(values, size)).astype(float), levels=[0.5], colors=[line], linewidths=1.0)
    text = f"peak {peak:.1f} x mean" if np.isfinite(peak) else "no positive attribution"
    axes.text(0.02, 0.02, text, transform=axes.transAxes, fontsize=7, color="white", va="bottom")


def _title(subject: Subject, explained: Explained, label: int) -> str:
    name = subject.classes[label]
    probability = 1 / (1 + np.exp(-float(explained.logits[label])))
    truth = {1: ", labelled", 0: ", not labelled", None: ", unknown"}[subject.truth.get(name)] if subject.truth else ""
    return f"{_short(name, 28)}\n{probability:.3f}{truth}"


def _legend(axes: Any, subject: Subject, explained: Explained, below: bool) -> None:
    """The legend, in the place of a picture."""
    rows = [(f"Orange: {subject.attention}", ATTENTION)] if explained.attention is not None else []
    rows.append((f"Blue: {subject.attribution}", ATTRIBUTION))
    top = -0.05 if below else 0.98
    for number, (text, colour) in enumerate(rows):
        tone = tuple(0.72 * value / 255 for value in colour)
        axes.text(0, top - 0.09 * number, text, transform=axes.transAxes, fontsize=8, va="top", color=tone, wrap=True)
    note = "Line: the tenth of the image with the highest values.\nProbabilities are not calibrated."
    if explained.attention is None:
        note = "This network has no label queries,\nso it has no attention to show.\n" + note
    axes.text(0, top - 0.09 * len(rows) - 0.04, note, transform=axes.transAxes, fontsize=7, va="top", color=_GRAY)


def _short(name: str, most: int = 30) -> str:
    name = escaped(name)
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-(most // 2) :]}"
