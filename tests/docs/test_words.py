"""The documentation avoids words that a reader would have to look up or read twice."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("docs/**/*.sh")])
_WORDS = (
    r"(?<!there )is none", "told", "stands? (?:in|beside)", "judged?", "begun", "of ours", "mend(?:ed|s)?", "in so many parts",
    "holds? the others up", "veil", "flatters?", "nobody", "say of", "tells? of",
)  # fmt: skip
FORBIDDEN = re.compile("|".join(rf"\b{word}\b" if word[0] != "(" else rf"{word}\b" for word in _WORDS), re.IGNORECASE)
MOST_LINE = 200  # characters of a line that is no table, link or code


def _text(page: Path) -> str:
    """A page without code."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_forbidden_words(page: Path) -> None:
    assert not FORBIDDEN.findall(_text(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paragraphs_are_wrapped(page: Path) -> None:
    lines = [line for line in _text(page).splitlines() if not line.startswith(("|", "- ", "<img"))]
    assert not [line for line in lines if len(line) > MOST_LINE]
