"""Figures of matplotlib on disk: the same content gives the same bytes, and any text can be drawn."""

from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.files import replacing
from cxrlt_cli.console import escaped

DPI = 160


def save_figure(figure: Any, path: Path, form: str, dpi: int = DPI) -> None:
    """Writes a figure of matplotlib, without date or random ids; an SVG holds its texts as text.

    The layout is computed for the first file of a figure and kept for the next: it takes longer than drawing. The figure is
    drawn once a file, where `Figure.savefig` draws it twice.

    Args:
        figure: a `matplotlib.figure.Figure`.
        path: the file; its suffix does not matter.
        form: png or svg.
        dpi: pixels an inch of a PNG.

    Raises:
        UserError: the file cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    figure.set_dpi(dpi)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "cxrlt"}), replacing(path) as aside:
        if form == "svg":
            FigureCanvasSVG(figure).print_svg(aside, metadata={"Date": None})  # type: ignore[no-untyped-call]
        else:
            FigureCanvasAgg(figure).print_png(aside, metadata={"Software": None})  # type: ignore[no-untyped-call]
    figure.set_layout_engine("none")


def figure_text(text: str) -> str:
    """A text in which matplotlib sees no formula, and which XML can hold: control characters are written as escapes."""
    shown = escaped(text).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
    return shown.replace("$", r"\$")
