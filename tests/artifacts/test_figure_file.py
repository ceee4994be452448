"""Figures on disk: the same bytes each time, and well-formed whatever a class is called."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from cxrlt_cli.artifacts.figure_file import figure_text, save_figure

NAMES = ["Mass", "a\x1b[2J\x00b", "</text><script>&", "$\\frac{", "a\nb", "\ufffe\uffff", "\ud800", "胸部", "a--b"]


def _figure() -> Figure:
    figure = Figure(figsize=(4, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(9), range(9), marker="o", clip_on=True)
    axes.set_yticks(range(len(NAMES)), [figure_text(name) for name in NAMES])
    return figure


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("form", ["png", "svg"])
def test_the_same_figure_has_the_same_bytes(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_figure(_figure(), tmp_path / "first", form)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")  # another time
    save_figure(_figure(), tmp_path / "second", form)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second"}


@pytest.mark.filterwarnings("ignore:Glyph")
def test_an_svg_is_well_formed_and_shows_the_names(tmp_path: Path) -> None:
    save_figure(_figure(), tmp_path / "figure.svg", "svg")
    texts = [node.text for node in ElementTree.parse(tmp_path / "figure.svg").iter("{http://www.w3.org/2000/svg}text")]
    for shown in (
        "Mass",
        r"a\x1b[2J\x00b",
        "</text><script>&",
        r"a\nb",
        r"\ufffe\uffff",
        r"\ud800",
        "胸部",
        "a--b",
        "$\\frac{",
    ):
        assert shown in texts
