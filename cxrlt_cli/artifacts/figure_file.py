"""Figures of matplotlib on disk: the same content gives the same bytes, and any text can be drawn."""

from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.files import replacing
from cxrlt_cli.console import escaped

DPI = 160


def save_figure(figure: Any, path: Path, form: str, dpi: int = DPI) -> None:
    """Writes a figure of matplotlib, without date or random ids; an SVG holds its texts as text.

    Args:
        figure: a `matplotlib.figure.Figure`.
        path: the file; its suffix does not matter.
        form: png or svg.
        dpi: pixels an inch of a PNG.

    Raises:
        UserError: the file cannot be written.
    """
    from matplotlib import rc_context

    metadata = {"Date": None} if form == "svg" else {"Software": None}
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "cxrlt"}), replacing(path) as aside:
        figure.savefig(aside, format=form, dpi=dpi, metadata=metadata)


def figure_text(text: str) -> str:
    """A text in which matplotlib sees no formula, and which XML can hold: control characters are written as escapes."""
    shown = escaped(text).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
    return shown.replace("$", r"\$")
